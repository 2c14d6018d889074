--- What relup instructions do: load code, unload it, touch processes, restart applications.
--
-- The shapes are those of appup(5) and of the low-level script that systools makes of them. One table says which; the
-- functions that place and move instructions ask here.

local term = require "edeliver.relup.term"

local effects = {}

local types = term.types
local POINT_OF_NO_RETURN = term.atom "point_of_no_return"

local function is_tuple(value) return getmetatable(value) == types.tuple end

local function is_list(value)
  local kind = term.kind(value)
  return kind == "list" or kind == "charlist"
end

local function name_of(value)
  if getmetatable(value) == types.atom then return value.name end
  return is_tuple(value) and getmetatable(value[1]) == types.atom and value[1].name or nil
end

--- The name of an instruction, "load_module" of `{load_module, m}`, and the number of its elements behind the name.
function effects.name(instruction)
  local name = name_of(instruction)
  return name, name and is_tuple(instruction) and #instruction - 1 or 0
end

-- `{Name, {Module, PrePurge, PostPurge}}`
local function purge_triple(instruction)
  local triple = instruction[2]
  return is_tuple(triple) and #triple == 3 and triple[1] or nil
end

-- `{Name, [Module]}`, of exactly one module
local function only_module(instruction)
  local modules = instruction[2]
  return is_list(modules) and #modules == 1 and modules.tail == nil and modules[1] or nil
end

-- `[{Module, Extra}]`, of exactly one module
local function only_change(list)
  local only = is_list(list) and #list == 1 and list[1]
  return is_tuple(only) and #only == 2 and only[1] or nil
end

local function second(instruction) return instruction[2] end

-- By name and number of elements behind it: how to find the module that the instruction loads, or unloads.
local LOADS = {
  load_module = { [1] = second, [2] = second, [4] = second },
  add_module = { [1] = second, [2] = second },
  load = { [1] = purge_triple },
}
local UNLOADS = {
  remove = { [1] = purge_triple },
  delete_module = { [1] = second, [2] = second },
  purge = { [1] = only_module },
}
local PROCESSES = {
  update = { [1] = second, [2] = second, [3] = second, [5] = second, [6] = second, [7] = second },
  code_change = {
    [1] = function(instruction) return only_change(instruction[2]) end,
    [2] = function(instruction) return only_change(instruction[3]) end,
  },
  start = { [1] = only_module },
  stop = { [1] = only_module },
}
local APPLICATIONS = {
  add_application = { [1] = second, [2] = second },
  remove_application = { [1] = second },
  restart_application = { [1] = second },
}
local RESTARTS = { restart_new_emulator = true, restart_emulator = true }

local function look_up(forms, instruction)
  local name, size = effects.name(instruction)
  local find = name and is_tuple(instruction) and forms[name] and forms[name][size]
  return find and find(instruction) or nil
end

--- The module that an instruction loads, or nil.
function effects.loads(instruction) return look_up(LOADS, instruction) end

--- The module that an instruction unloads or loads anew, or nil.
function effects.unloads(instruction) return look_up(LOADS, instruction) or look_up(UNLOADS, instruction) end

--- Whether an instruction loads, unloads or purges code.
function effects.modifies_code(instruction) return effects.unloads(instruction) ~= nil end

--- Whether an instruction changes, starts or stops processes.
function effects.modifies_processes(instruction) return look_up(PROCESSES, instruction) ~= nil end

--- Whether an instruction starts, stops or restarts an application or the emulator.
function effects.modifies_applications(instruction)
  if getmetatable(instruction) == types.atom then return RESTARTS[instruction.name] == true end
  return look_up(APPLICATIONS, instruction) ~= nil
end

--- Whether an instruction restarts the emulator: "restart_new_emulator" or "restart_emulator", or nil.
function effects.restarts(instruction)
  return getmetatable(instruction) == types.atom and RESTARTS[instruction.name] and instruction.name or nil
end

--- Whether it is the instruction behind which nothing can be cancelled.
function effects.is_point_of_no_return(instruction) return instruction == POINT_OF_NO_RETURN end

--- Module and function of `{apply, {Module, Function, Arguments}}`, and the arguments.
function effects.applies(instruction)
  local name, size = effects.name(instruction)
  local call = name == "apply" and size == 1 and instruction[2]
  if is_tuple(call) and #call == 3 then return call[1], call[2], call[3] end
  return nil
end

--- Name, version and modules of `{load_object_code, {Name, Vsn, [Module]}}`.
function effects.object_code(instruction)
  local name, size = effects.name(instruction)
  local what = name == "load_object_code" and size == 1 and instruction[2]
  if is_tuple(what) and #what == 3 and is_list(what[3]) then return what[1], what[2], what[3] end
  return nil
end

--- The modules of all `load_object_code` of a script, in order.
-- @tparam table script a list of instructions
-- @treturn table a list of atoms
function effects.loaded(script)
  local modules = {}
  for _, instruction in ipairs(script) do
    local _, _, loaded = effects.object_code(instruction)
    for _, module in ipairs(loaded or {}) do modules[#modules + 1] = module end
  end
  return modules
end

return effects
