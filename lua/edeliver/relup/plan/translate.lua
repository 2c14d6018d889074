--- From the instructions of appups to the script of a relup, by systools' own rules (systools_rc).
--
-- Terms in, a list of low-level instructions out; it knows applications by their names, versions and modules, and reads no file.
-- Where two instructions depend on none of each other, systools leaves their order to a hash; here it is that of the appup.
--
-- @module edeliver.relup.plan.translate

local order = require "edeliver.relup.plan.order"
local term = require "edeliver.relup.term"

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local translate = {}

local BRUTAL, SOFT, STATIC, DYNAMIC, DEFAULT = atom "brutal_purge", atom "soft", atom "static", atom "dynamic", atom "default"
local PONR, NEW_EMULATOR, EMULATOR = atom "point_of_no_return", atom "restart_new_emulator", atom "restart_emulator"
local EMPTY = list {}

local function refuse(code, text, ...) error({ message = text:format(...), code = code }, 0) end

local function name_of(instruction)
  if term.kind(instruction) ~= "tuple" then return term.kind(instruction) == "atom" and instruction.name or nil end
  return term.kind(instruction[1]) == "atom" and instruction[1].name or nil
end

local function is_list(value) return term.kind(value) == "list" or term.kind(value) == "charlist" end
local function is_tuple(value) return term.kind(value) == "tuple" end

-- High-level shorthand --------------------------------------------------------------------------------------------------

local ADVANCED_NOTHING = tuple { atom "advanced", EMPTY }

local function expand_update(i)
  local module, second, third = i[2], i[3], i[4]
  if #i == 2 then return tuple { i[1], module, SOFT, BRUTAL, BRUTAL, EMPTY } end
  if #i == 3 and second == atom "supervisor" then
    return tuple { i[1], module, STATIC, DEFAULT, ADVANCED_NOTHING, BRUTAL, BRUTAL, EMPTY }
  end
  if #i == 3 and is_list(second) then return tuple { i[1], module, SOFT, BRUTAL, BRUTAL, second } end
  local is_change = is_tuple(second) or second == SOFT
  if #i == 3 and is_change then return tuple { i[1], module, second, BRUTAL, BRUTAL, EMPTY } end
  if #i == 4 and is_change and is_list(third) then return tuple { i[1], module, second, BRUTAL, BRUTAL, third } end
  return i
end

local EXPANDERS = {
  load_module = function(i)
    if #i == 2 then return tuple { i[1], i[2], BRUTAL, BRUTAL, EMPTY } end
    if #i == 3 and is_list(i[3]) then return tuple { i[1], i[2], BRUTAL, BRUTAL, i[3] } end
    return i
  end,
  update = expand_update,
  delete_module = function(i)
    if #i == 2 or #i == 3 and is_list(i[3]) then return tuple { atom "remove_module", i[2], BRUTAL, BRUTAL, i[3] or EMPTY } end
    return i
  end,
  add_application = function(i) return #i == 2 and tuple { i[1], i[2], atom "permanent" } or i end,
}

-- The forms of update that leave something out, and add_module, in their longest form.
local NORMALIZERS = {
  update = function(i)
    if #i == 6 then return tuple { i[1], i[2], DYNAMIC, DEFAULT, i[3], i[4], i[5], i[6] } end
    if #i == 7 then return tuple { i[1], i[2], DYNAMIC, i[3], i[4], i[5], i[6], i[7] } end
    return i
  end,
  add_module = function(i) return #i == 2 and tuple { i[1], i[2], EMPTY } or i end,
}

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

-- Checks ----------------------------------------------------------------------------------------------------------------

local function names_in(script, name, of)
  local found, in_order = {}, {}
  for _, instruction in ipairs(script) do
    if name_of(instruction) == name and is_tuple(instruction) then
      local items = of(instruction)
      for k = 1, is_list(items) and #items or 0 do
        local module = is_tuple(items[k]) and items[k][1] or items[k]
        found[module] = true
        in_order[#in_order + 1] = module
      end
    end
  end
  return found, in_order
end

local function check_all_in(names, set, code, text)
  for _, name in ipairs(names) do
    if not set[name] then refuse(code, text, term.format(name)) end
  end
end

local function second(instruction) return instruction[2] end

local function check_pairs(before, script)
  local object_code = names_in(before, "load_object_code", function(i) return is_tuple(i[2]) and i[2][3] end)
  for _, instruction in ipairs(script) do
    if name_of(instruction) == "load" and not object_code[instruction[2][1]] then
      refuse("no_object_code", "It loads %s, and has no load_object_code of it.", term.format(instruction[2][1]))
    end
  end
  local suspended, suspends = names_in(script, "suspend", second)
  local resumed, resumes = names_in(script, "resume", second)
  local started, starts = names_in(script, "start", second)
  local stopped, stops = names_in(script, "stop", second)
  check_all_in(suspends, resumed, "suspended_not_resumed", "It suspends %s and does not resume it.")
  check_all_in(resumes, suspended, "resumed_not_suspended", "It resumes %s and does not suspend it.")
  check_all_in(starts, stopped, "start_not_stop", "It starts %s and does not stop it.")
  check_all_in(stops, started, "stop_not_start", "It stops %s and does not start it.")
end

-- Applications ----------------------------------------------------------------------------------------------------------

local function find(applications, name)
  for _, application in ipairs(applications) do
    if application.name == term.text(name) then return application end
  end
  return nil
end

local function the_application(applications, name)
  return find(applications, name) or refuse("no_such_application", "The release has no application %s.", term.format(name))
end

local function modules_of(application)
  local modules = {}
  for k, name in ipairs(application.modules) do modules[k] = atom(name) end
  return modules
end

local function apply(fun, arguments) return tuple { atom "apply", tuple { atom "application", atom(fun), list(arguments) } } end

local function add_modules(into, application)
  for _, module in ipairs(modules_of(application)) do
    into[#into + 1] = tuple { atom "load_module", module, BRUTAL, BRUTAL, EMPTY }
  end
end

local function remove_modules(into, application)
  local modules = modules_of(application)
  for _, module in ipairs(modules) do into[#into + 1] = tuple { atom "remove", tuple { module, BRUTAL, BRUTAL } } end
  into[#into + 1] = tuple { atom "purge", list(modules) }
end

local APPLICATIONS = {
  add_application = function(into, i, new)
    add_modules(into, the_application(new, i[2]))
    local start_type = term.text(i[3])
    if start_type == "load" then
      into[#into + 1] = apply("load", { i[2] })
    elseif start_type ~= "none" then
      into[#into + 1] = apply("start", { i[2], i[3] })
    end
  end,
  remove_application = function(into, i, new, old)
    if find(new, i[2]) then refuse("removed_application_present", "%s is removed, and still there.", term.format(i[2])) end
    local application = the_application(old, i[2])
    into[#into + 1] = apply("stop", { i[2] })
    remove_modules(into, application)
    into[#into + 1] = apply("unload", { i[2] })
  end,
  restart_application = function(into, i, new, old)
    into[#into + 1] = apply("stop", { i[2] })
    remove_modules(into, the_application(old, i[2]))
    add_modules(into, the_application(new, i[2]))
    local start_type = the_application(new, i[2]).start_type or "permanent"
    if start_type == "load" then
      into[#into + 1] = apply("load", { i[2] })
    elseif start_type ~= "none" then
      into[#into + 1] = apply("start", { i[2], atom(start_type) })
    end
  end,
}

local function translate_applications(script, new, old)
  local found = {}
  for _, instruction in ipairs(script) do
    local change = is_tuple(instruction) and APPLICATIONS[name_of(instruction)]
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

local function load_or_remove(i)
  if name_of(i) == "update" then return tuple { atom "load", tuple { i[2], i[6], i[7] } } end
  local name = name_of(i) == "load_module" and "load" or "remove"
  return tuple { atom(name), tuple { i[2], i[3], i[4] } }
end

-- What one group becomes: what stands before the point of no return, and after.
local function to_low(direction, instructions, applications)
  local suspends, resumes, loads, before, purged = {}, {}, {}, {}, {}
  for _, i in ipairs(instructions) do
    if name_of(i) == "update" then
      suspends[#suspends + 1] = i[4] == DEFAULT and i[2] or tuple { i[2], i[4] }
      table.insert(resumes, 1, i[2])
    end
    local low = load_or_remove(i)
    loads[#loads + 1] = low
    if name_of(low) == "load" then
      local library = library_of(applications, i[2])
      before[#before + 1] = tuple { atom "load_object_code",
        tuple { atom(library.name), charlist(library.version), list { i[2] } } }
    else
      purged[#purged + 1] = i[2]
    end
  end
  local following = {}
  if #suspends > 0 then following[1] = tuple { atom "suspend", list(suspends) } end
  if direction == "up" then
    append(following, reversed(loads))
    append(following, #purged > 0 and { tuple { atom "purge", list(purged) } } or {})
    append(following, code_changes(instructions, "up"))
  else
    append(following, code_changes(instructions, "down", DYNAMIC))
    append(following, loads)
    append(following, #purged > 0 and { tuple { atom "purge", list(purged) } } or {})
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
  for k, script in ipairs(scripts) do expanded[k] = map(script, EXPANDERS) end
  local before, following = merge(expanded)
  following = map(following, NORMALIZERS)
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
