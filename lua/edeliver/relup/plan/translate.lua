--- From the instructions of appups to the script of a relup, by systools' own rules (systools_rc).
--
-- Terms in, a list of low-level instructions out; it knows applications by their names, versions and modules, and reads no file.
-- Where two instructions depend on none of each other, systools leaves their order to a hash; here it is that of the appup.
--
-- @module edeliver.relup.plan.translate

local application_instructions = require "edeliver.relup.plan.application_instructions"
local check_pairs = require "edeliver.relup.plan.check_pairs"
local order = require "edeliver.relup.plan.order"
local refuse = require "edeliver.relup.plan.refuse"
local shorthand = require "edeliver.relup.plan.shorthand"
local term = require "edeliver.relup.term"

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local translate = {}

local BRUTAL, STATIC, DYNAMIC, DEFAULT = atom "brutal_purge", atom "static", atom "dynamic", atom "default"
local PONR, NEW_EMULATOR, EMULATOR = atom "point_of_no_return", atom "restart_new_emulator", atom "restart_emulator"

local function name_of(instruction)
  if term.kind(instruction) ~= "tuple" then return term.kind(instruction) == "atom" and instruction.name or nil end
  return term.kind(instruction[1]) == "atom" and instruction[1].name or nil
end

local function is_tuple(value) return term.kind(value) == "tuple" end

local function map(instructions, by_name)
  local found = {}
  for k = 1, #instructions do
    local change = is_tuple(instructions[k]) and by_name[name_of(instructions[k])]
    found[k] = change and change(instructions[k]) or instructions[k]
  end
  return found
end

-- Before and after the point of no return -------------------------------------------------------------------------------

local ALLOWED_BEFORE = { load_object_code = true, apply = true }

local function split_at_point(script)
  local at
  for k = 1, #script do
    if script[k] == PONR then
      if at then refuse("too_many_points", "It has the point of no return twice.") end
      at = k
    end
  end
  local before, following = {}, {}
  for k = 1, #script do
    if k ~= at then table.insert(at and k < at and before or following, script[k]) end
  end
  return before, following
end

-- All load_object_code go in front.
local function split_script(script)
  local before, following = split_at_point(script)
  for _, instruction in ipairs(before) do
    if not ALLOWED_BEFORE[name_of(instruction)] then
      refuse("bad_before_point", "%s is not allowed before the point of no return.", term.format(instruction))
    end
  end
  local rest = {}
  for _, instruction in ipairs(following) do
    table.insert(name_of(instruction) == "load_object_code" and before or rest, instruction)
  end
  return before, rest
end

local function append(to, more) return table.move(more, 1, #more, #to + 1, to) end

local function merge(scripts)
  local before, following = {}, {}
  for _, script in ipairs(scripts) do
    local b, a = split_script(script)
    append(before, b)
    append(following, a)
  end
  return before, following
end

-- Instructions of applications, and add_module --------------------------------------------------------------------------

local function translate_applications(script, new, old)
  local found = {}
  for _, instruction in ipairs(script) do
    local change = is_tuple(instruction) and application_instructions.by_name[name_of(instruction)]
    if change then
      change(found, instruction, new, old)
    elseif name_of(instruction) == "add_module" then
      found[#found + 1] = tuple { atom "load_module", instruction[2], BRUTAL, BRUTAL, instruction[3] }
    else
      found[#found + 1] = instruction
    end
  end
  return found
end

-- Instructions that depend on each other --------------------------------------------------------------------------------

local DEPENDENT = { update = true, load_module = true, remove_module = true }

local function second(instruction) return instruction[2] end

local function library_of(applications, module)
  for _, application in ipairs(applications) do
    for _, name in ipairs(application.modules) do
      if name == module.name then return application end
    end
  end
  return refuse("no_such_module", "No application of the release has the module %s.", term.format(module))
end

local function reversed(items)
  local turned = {}
  for k = #items, 1, -1 do turned[#turned + 1] = items[k] end
  return turned
end

local function code_changes(instructions, direction, wanted_type)
  local changes = {}
  for _, i in ipairs(instructions) do
    local is_advanced = name_of(i) == "update" and is_tuple(i[5]) and i[5][1] == atom "advanced"
    if is_advanced and (not wanted_type or i[3] == wanted_type) then changes[#changes + 1] = tuple { i[2], i[5][2] } end
  end
  return #changes > 0 and { tuple { atom "code_change", atom(direction), list(changes) } } or {}
end

-- A list: what is removed is purged right behind that.
local function load_or_remove(i)
  if name_of(i) == "update" then return { tuple { atom "load", tuple { i[2], i[6], i[7] } } } end
  if name_of(i) == "load_module" then return { tuple { atom "load", tuple { i[2], i[3], i[4] } } } end
  return { tuple { atom "remove", tuple { i[2], i[3], i[4] } }, tuple { atom "purge", list { i[2] } } }
end

local function flattened(lists)
  local items = {}
  for _, each in ipairs(lists) do table.move(each, 1, #each, #items + 1, items) end
  return items
end

-- What one group becomes: what stands before the point of no return, and after.
local function to_low(direction, instructions, applications)
  local suspends, resumes, loads, before = {}, {}, {}, {}
  for _, i in ipairs(instructions) do
    if name_of(i) == "update" then
      suspends[#suspends + 1] = i[4] == DEFAULT and i[2] or tuple { i[2], i[4] }
      table.insert(resumes, 1, i[2])
    end
    local low = load_or_remove(i)
    loads[#loads + 1] = low
    if name_of(i) ~= "remove_module" then
      local library = library_of(applications, i[2])
      before[#before + 1] = tuple { atom "load_object_code",
        tuple { atom(library.name), charlist(library.version), list { i[2] } } }
    end
  end
  local following = {}
  if #suspends > 0 then following[1] = tuple { atom "suspend", list(suspends) } end
  if direction == "up" then
    append(following, flattened(reversed(loads)))
    append(following, code_changes(instructions, "up"))
  else
    append(following, code_changes(instructions, "down", DYNAMIC))
    append(following, flattened(loads))
    append(following, code_changes(instructions, "down", STATIC))
  end
  if #resumes > 0 then following[#following + 1] = tuple { atom "resume", list(resumes) } end
  return before, following
end

local function dependencies_of(instruction) return instruction[#instruction] end

local function translate_dependent(direction, script, applications)
  local dependent = {}
  for _, instruction in ipairs(script) do
    if is_tuple(instruction) and DEPENDENT[name_of(instruction)] then dependent[#dependent + 1] = instruction end
  end
  local group_of = order.groups(dependent, second, dependencies_of, refuse)
  local before, following, done = {}, {}, {}
  for _, instruction in ipairs(script) do
    local group = group_of[instruction]
    if not group then
      following[#following + 1] = instruction
    elseif not done[group] then
      done[group] = true
      local b, a = to_low(direction, group, applications)
      append(before, b)
      append(following, a)
    end
  end
  return before, following
end

-- One load_object_code for each application, in the order of the first of each.
local function merge_object_code(before)
  local merged, rest, of = {}, {}, {}
  for _, instruction in ipairs(before) do
    if name_of(instruction) ~= "load_object_code" then
      rest[#rest + 1] = instruction
    else
      local library, version, modules = table.unpack(instruction[2])
      local known = of[library]
      if not known then
        known = { library = library, version = version, modules = {}, has = {} }
        of[library] = known
        merged[#merged + 1] = known
      elseif not term.equal(known.version, version) then
        refuse("conflicting_versions", "It loads %s in two versions.", term.format(library))
      end
      for k = 1, #modules do
        if not known.has[modules[k]] then
          known.has[modules[k]] = true
          table.insert(known.modules, modules[k])
        end
      end
    end
  end
  local found = {}
  for k, known in ipairs(merged) do
    found[k] = tuple { atom "load_object_code", tuple { known.library, known.version, list(known.modules) } }
  end
  return append(found, rest)
end

-- A new emulator starts first on the way up, and last on the way down.
local function sort_restarts(direction, before, following)
  local kept, has_new, has_old = {}, false, false
  for _, instruction in ipairs(following) do
    if instruction == NEW_EMULATOR then
      has_new = true
    elseif instruction == EMULATOR then
      has_old = true
    else
      kept[#kept + 1] = instruction
    end
  end
  if has_new and direction == "up" then table.insert(before, 1, NEW_EMULATOR) end
  if has_old or has_new and direction == "down" then kept[#kept + 1] = EMULATOR end
  return before, kept
end

local function translated(direction, scripts, new, old)
  local expanded = {}
  for k, script in ipairs(scripts) do expanded[k] = map(script, shorthand.expanders) end
  local before, following = merge(expanded)
  following = map(following, shorthand.normalizers)
  check_pairs(before, following)
  local b
  b, following = translate_dependent(direction, translate_applications(following, new, old), new)
  before, following = sort_restarts(direction, merge_object_code(append(before, b)), following)
  before[#before + 1] = PONR
  return list(append(before, following))
end

--- Translates.
-- @string direction "up" or "down"
-- @tparam table scripts lists of instructions, one for each application
-- @tparam table new the applications that there will be: a list of `{ name =, version =, modules =, start_type = }`
-- @tparam table old the applications that there are
-- @return[1] a list of low-level instructions
-- @return[2] nil, message, code
function translate.scripts(direction, scripts, new, old)
  local done, result = pcall(translated, direction, scripts, new, old)
  if done then return result end
  if type(result) ~= "table" or not result.code then error(result, 0) end
  return nil, result.message, result.code
end

return translate
