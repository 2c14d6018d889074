--- The shapes of instructions: every form of appup(5), and of the low-level script that systools makes of them.
--
-- Says whether an instruction has one of them, and whether the release handler can evaluate it: the high-level ones are
-- for systools, which translates them.

local term = require "edeliver.relup.term"
local effects = require "edeliver.relup.script.effects"

local shapes = {}

-- Each gives nil where a value fits, or what was expected.

local function is_list(value)
  local kind = term.kind(value)
  return kind == "charlist" or kind == "list" and not (getmetatable(value) and value.tail ~= nil)
end

local function is_tuple(value, size) return term.kind(value) == "tuple" and (not size or #value == size) end

local function atom(what)
  return function(value) return term.kind(value) ~= "atom" and what or nil end
end

local function one_of(...)
  local allowed, names = {}, { ... }
  for _, name in ipairs(names) do allowed[name] = true end
  return function(value)
    if term.kind(value) == "atom" and allowed[term.text(value)] then return nil end
    return table.concat(names, " or ")
  end
end

local module = atom "a module"

local function list_of(item, what)
  return function(value)
    if not is_list(value) then return "a list of " .. what end
    for i = 1, #value do
      if item(value[i]) then return "a list of " .. what end
    end
    return nil
  end
end

local modules = list_of(module, "modules")

local function any() return nil end

local purge = one_of("soft_purge", "brutal_purge")

local function timeout(value)
  if math.type(value) == "integer" and value > 0 then return nil end
  return one_of("default", "infinity")(value) and "a timeout: default, infinity or milliseconds" or nil
end

local function change(value)
  if is_tuple(value, 2) and value[1] == term.atom "advanced" then return nil end
  return value ~= term.atom "soft" and "soft or {advanced, Extra}" or nil
end

local function purge_triple(value)
  if not is_tuple(value, 3) then return "{Module, PrePurge, PostPurge}" end
  return module(value[1]) or purge(value[2]) or purge(value[3])
end

local function object_code(value)
  if not is_tuple(value, 3) then return "{Name, Version, [Module]}" end
  local version = term.kind(value[2]) ~= "binary" and is_list(value[2]) and term.text(value[2]) and value[2]
  return atom "an application" (value[1]) or (not version and "a version" or nil) or modules(value[3])
end

local function call(value)
  if not is_tuple(value, 3) then return "{Module, Function, Arguments}" end
  return module(value[1]) or atom "a function" (value[2]) or (not is_list(value[3]) and "a list of arguments" or nil)
end

local function suspended(value)
  if is_tuple(value, 2) then return module(value[1]) or timeout(value[2]) end
  return module(value)
end

local changed = list_of(function(value) return not is_tuple(value, 2) and "a pair" or module(value[1]) end, "{Module, Extra}")

local function nodes(value)
  return call(value) and list_of(atom "a node", "nodes")(value) and "a list of nodes or {Module, Function, Arguments}" or nil
end

local application = atom "an application"
local start_type = one_of("permanent", "transient", "temporary", "load", "none")
local supervisor_or = function(value) return value ~= term.atom "supervisor" and change(value) and modules(value) end

-- Low-level: what the release handler evaluates. By name: the forms, each a list of what is behind the name.
local LOW = {
  load_object_code = { { object_code } },
  point_of_no_return = { {} },
  load = { { purge_triple } },
  remove = { { purge_triple } },
  purge = { { modules } },
  suspend = { { list_of(suspended, "modules, or {Module, Timeout}") } },
  resume = { { modules } },
  code_change = { { changed }, { one_of("up", "down"), changed } },
  stop = { { modules } },
  start = { { modules } },
  sync_nodes = { { any, nodes } },
  apply = { { call } },
  restart_new_emulator = { {} },
  restart_emulator = { {} },
}

-- High-level: what systools translates.
local HIGH = {
  update = {
    { module },
    { module, supervisor_or },
    { module, change, modules },
    { module, change, purge, purge, modules },
    { module, timeout, change, purge, purge, modules },
    { module, one_of("static", "dynamic"), timeout, change, purge, purge, modules },
  },
  load_module = { { module }, { module, modules }, { module, purge, purge, modules } },
  add_module = { { module }, { module, modules } },
  delete_module = { { module }, { module, modules } },
  add_application = { { application }, { application, start_type } },
  remove_application = { { application } },
  restart_application = { { application } },
}

-- nil where the instruction has one of the forms, else what was expected of which element.
local function mismatch(forms, instruction, size)
  local of_size, problem = {}, nil
  for _, form in ipairs(forms) do
    of_size[#of_size + 1] = #form
    if #form == size then
      problem = nil
      for i, fits in ipairs(form) do
        local wanted = fits(instruction[i + 1])
        if wanted then
          problem = ("element %d should be %s, not %s"):format(i + 1, wanted, term.format(instruction[i + 1]))
          break
        end
      end
      if not problem then return nil end
    end
  end
  if problem then return problem end
  local sizes = {}
  for i, wanted in ipairs(of_size) do sizes[i] = tostring(wanted + 1) end
  return ("it has %d elements, not %s"):format(size + 1, table.concat(sizes, " or "))
end

--- What is wrong with an instruction's shape.
-- @treturn ?string "unknown_instruction", "bad_shape" or "high_level"; nil where nothing is wrong
-- @treturn ?string the reason
-- @treturn ?string of a high-level one the name
function shapes.problem(instruction)
  local name, size = effects.name(instruction)
  local forms = name and (LOW[name] or HIGH[name])
  if not forms then return "unknown_instruction", "neither appup(5) nor the release handler knows this instruction" end
  if term.kind(instruction) == "atom" and #forms[1] > 0 then return "bad_shape", "it is a tuple, not an atom alone" end
  if term.kind(instruction) == "tuple" and #forms[1] == 0 then return "bad_shape", "it is an atom alone, not a tuple" end
  local reason = mismatch(forms, instruction, size)
  if reason then return "bad_shape", reason end
  if HIGH[name] then
    return "high_level", "it belongs into an appup: systools translates it, the release handler does not know it", name
  end
  return nil
end

return shapes
