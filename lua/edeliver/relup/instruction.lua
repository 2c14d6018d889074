--- What every instruction is: defaults for the functions that a definition leaves out.
--
-- An instruction is data and a few functions: `arguments`, `call_this`, `dependencies`, `insert_where`, `modify_relup` for
-- the relup, `run` for a live node, `order` and `undoes` for its place in a sequence. Nothing here touches a node or a file.
--
-- @module edeliver.relup.instruction

local guard_call = require "edeliver.relup.script.guard_call"
local term = require "edeliver.relup.term"
local insert_instruction = require "edeliver.relup.insert_instruction"
local shift_instruction = require "edeliver.relup.shift_instruction"
local up_and_down = require "edeliver.relup.script.up_and_down"

local instruction = {}

local atom, tuple, list = term.atom, term.tuple, term.list

--- The built-in instructions, in the order in which an upgrade usually has them.
instruction.names = {
  "start_section", "info", "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "sleep", "soft_purge",
  "suspend_app_processes", "reload_modules", "code_change_on_app_processes", "resume_app_processes",
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}

local built_in = {}
for _, name in ipairs(instruction.names) do built_in[name] = true end

--- Whether an instruction of that name comes with this library.
function instruction.is_built_in(name) return built_in[name] == true end

--- A built-in instruction by name; raises where there is none.
function instruction.load(name)
  if not built_in[name] then error(("there is no instruction %q"):format(tostring(name)), 2) end
  return require("edeliver.relup.instructions." .. name)
end

-- 'Elixir.Edeliver.Relup.Instructions.ResumeChannels' for "resume_channels"
local function elixir_module(name)
  local camel = name:gsub("%f[%w]%l", string.upper):gsub("_%l", string.upper):gsub("_", "")
  return "Elixir.Edeliver.Relup.Instructions." .. camel
end

--- The application's name as an atom, which most instructions take as their argument.
-- @param config `name` is an atom or a string
function instruction.application_name(_, config)
  local name = config and config.name
  if type(name) == "string" then return atom(name) end
  if term.kind(name) ~= "atom" then error("the configuration needs the application's `name`", 2) end
  return name
end

--- The atom of the module that stands for an instruction inside a release.
-- @param dependency an instruction, the name of a built-in one, or the module's atom itself
function instruction.module_of(dependency)
  if term.kind(dependency) == "atom" then return dependency end
  local module = type(dependency) == "string" and instruction.load(dependency).module or dependency.module
  if not module then error(("%s has no `module` in the release"):format(tostring(dependency.name)), 2) end
  return atom(module)
end

--- `{apply,{gen_server,call,[edeliver_relup,{run,Name,[Arguments]},infinity]}}`: the guard on the node passes the call to
-- the operator's program. Where there is no guard it fails, which before the point of no return cancels the upgrade; behind it
-- `modification.apply` has it caught.
local function call_guard(self, arguments)
  return guard_call.bare(tuple { atom "run", atom(self.name), list { arguments } })
end

--- `{apply,{Module,run,[Arguments]}}`: for releases that carry edeliver, or modules of these names.
local function call_module(self, arguments)
  return tuple { atom "apply", tuple { instruction.module_of(self), atom "run", list { arguments } } }
end

local runtimes = { guard = call_guard, edeliver = call_module }

local function runtime_of(config)
  local name = config and config.runtime or "guard"
  if not runtimes[name] then error(('the runtime is "guard" or "edeliver", not %q'):format(tostring(name)), 3) end
  return name
end

--- Moves the load of the instruction's own module before its call and, in a downgrade, the unload after it; the same for
-- the modules that it depends on. With the guard nothing runs inside the node, and nothing has to move.
-- @param call what `call_this` gave
function instruction.shift_modules(self, instructions, config, call)
  if runtime_of(config) == "guard" then return instructions end
  local shifted = shift_instruction.ensure_module_loaded_before_instruction(instructions, call, instruction.module_of(self))
  for _, dependency in ipairs(self.dependencies()) do
    shifted = shift_instruction.ensure_module_loaded_before_first_runnable_instructions(
      shifted, call, instruction.module_of(dependency))
  end
  return shifted
end

-- `run` without a context is by hand in a REPL: it gets one of its own, and says what it did.
local function runnable_by_hand(run)
  return function(node, argument, ctx)
    if ctx then return run(node, argument, ctx) end
    ctx = require("edeliver.relup.step.context").by_hand(node, argument)
    local result, message, code = run(node, argument, ctx)
    if type(result) == "string" then ctx:log("info", result) end
    return result, message, code
  end
end

--- Makes an instruction of a definition, which needs a `name`; what it leaves out gets a default.
-- @param definition `name`, `run`, and whatever of `arguments`, `call_this`, `dependencies`, `insert_where`,
-- `modify_relup`, `section`, `order`, `undoes`, `module` differs from the defaults
-- @return the definition, completed
function instruction.define(definition)
  local self = definition
  if type(self.name) ~= "string" then error("an instruction needs a name", 2) end
  self.order = self.order or {}
  self.run = self.run and runnable_by_hand(self.run)
  if not self.module and built_in[self.name] then self.module = elixir_module(self.name) end

  --- What `run` will be given.
  self.arguments = self.arguments or function() return list {} end

  --- The relup instruction that runs this one in the middle of OTP's own script.
  -- @param arguments a term
  -- @param[opt] config `runtime` is "guard" (default) or "edeliver"
  self.call_this = self.call_this or function(arguments, config)
    if arguments == nil then arguments = list {} end
    return runtimes[runtime_of(config)](self, arguments)
  end

  --- Names of the instructions that have to be there, and loaded, before this one.
  self.dependencies = self.dependencies or function() return {} end

  --- The function that puts `call_this` into the lists.
  self.insert_where = self.insert_where or function() return insert_instruction.append end

  --- Puts the instruction into a relup.
  -- @return a new instructions value
  self.modify_relup = self.modify_relup or function(instructions, config)
    if not up_and_down.is(instructions) then error("modify_relup takes an instructions value", 2) end
    local call = self.call_this(self.arguments(instructions, config), config)
    return instruction.shift_modules(self, self.insert_where()(instructions, call), config, call)
  end
  return self
end

return instruction
