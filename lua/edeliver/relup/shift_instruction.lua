--- Moves the instructions that load and unload modules around the instructions that need them.
--
-- In an upgrade a module is loaded before it is used, in a downgrade it is unloaded only after. So every function does one
-- thing to a bare list, and to an instructions value that to its up list and the opposite to its down list. What is handed
-- in stays as it is. Names and behaviour are edeliver's.
--
-- @module edeliver.relup.shift_instruction

local term = require "edeliver.relup.term"
local effects = require "edeliver.relup.script.effects"
local up_and_down = require "edeliver.relup.script.up_and_down"

local shift_instruction = {}

local equal, RUN = term.equal, term.atom "run"

local function copy(list) return setmetatable(table.move(list, 1, #list, 1, {}), term.types.list) end

local function position_of(list, wanted)
  for i = 1, #list do
    if equal(list[i], wanted) then return i end
  end
  return nil
end

--- The first `{apply,{Module,run,_}}` of a module in a list, and its position; nil where there is none.
function shift_instruction.first_runnable_instruction(list, module)
  for i = 1, #list do
    local applied, name = effects.applies(list[i])
    if name == RUN and equal(applied, module) then return list[i], i end
  end
  return nil
end

-- The first load of the module moves to `position_before(list)`, unless one stands before `instruction` already.
local function load_before(list, instruction, module, position_before)
  local at = position_of(list, instruction)
  if not at then return list end
  for i = 1, #list do
    local loaded = effects.loads(list[i])
    if i ~= at and loaded ~= nil and equal(loaded, module) then
      if i < at then return list end
      local changed = copy(list)
      table.insert(changed, position_before(changed), table.remove(changed, i))
      return changed
    end
  end
  return list
end

-- Every load and unload of the module that stands before `instruction` moves to right after it.
local function unload_after(list, instruction, module)
  local at = position_of(list, instruction)
  if not at then return list end
  local changed, moved = setmetatable({}, term.types.list), {}
  for i = 1, #list do
    local unloaded = i < at and effects.unloads(list[i])
    if unloaded and equal(unloaded, module) then
      table.insert(moved, 1, list[i])
    else
      changed[#changed + 1] = list[i]
    end
    if i == at then table.move(moved, 1, #moved, #changed + 1, changed) end
  end
  return changed
end

local function loaded_before(instruction, module)
  return function(list)
    return load_before(list, instruction, module, function(changed) return position_of(changed, instruction) end)
  end
end

local function loaded_before_first(runnable, module)
  local runnable_module = effects.applies(runnable)
  return function(list)
    return load_before(list, runnable, module, function(changed)
      return select(2, shift_instruction.first_runnable_instruction(changed, runnable_module))
    end)
  end
end

local function unloaded_after(instruction, module)
  return function(list) return unload_after(list, instruction, module) end
end

--- Ensures that a module that is loaded at all is loaded before an instruction: the first load behind it moves to right
-- before it; one that already stands before it settles the matter. Down: `ensure_module_unloaded_after_instruction`.
function shift_instruction.ensure_module_loaded_before_instruction(instructions, instruction, module)
  return up_and_down.map(instructions, loaded_before(instruction, module), unloaded_after(instruction, module))
end

--- Ensures that a module is unloaded only after an instruction: all loads and unloads that stand before it move to right
-- after it. Down: `ensure_module_loaded_before_instruction`.
function shift_instruction.ensure_module_unloaded_after_instruction(instructions, instruction, module)
  return up_and_down.map(instructions, unloaded_after(instruction, module), loaded_before(instruction, module))
end

--- As `ensure_module_loaded_before_instruction`, around the first `{apply,{M,run,_}}` of the module `M` that `runnable`
-- calls: for instructions that a relup may hold several times.
-- @param[opt] module what is to be loaded; by default `M`
function shift_instruction.ensure_module_loaded_before_first_runnable_instructions(instructions, runnable, module)
  module = module == nil and effects.applies(runnable) or module
  return up_and_down.map(instructions, loaded_before_first(runnable, module), unloaded_after(runnable, module))
end

--- The reverse: loads and unloads that stand before the runnable move to right after it. Down: loaded before the first.
-- @param[opt] module what is to be unloaded; by default the module that the runnable calls
function shift_instruction.ensure_module_unloaded_after_last_runnable_instruction(instructions, runnable, module)
  module = module == nil and effects.applies(runnable) or module
  return up_and_down.map(instructions, unloaded_after(runnable, module), loaded_before_first(runnable, module))
end

return shift_instruction
