--- Puts instructions at their places in a relup.
--
-- Every function takes an instructions value, whose up and down lists both change, or one bare list, and gives a new one:
-- what was handed in stays as it is. `new` is one instruction or a list of them. Names and places are edeliver's.
--
-- @module edeliver.relup.insert_instruction

local term = require "edeliver.relup.term"
local effects = require "edeliver.relup.script.effects"
local up_and_down = require "edeliver.relup.script.up_and_down"

local insert_instruction = {
  modifies_code = effects.modifies_code,
  modifies_processes = effects.modifies_processes,
  modifies_applications = effects.modifies_applications,
}

local equal = term.equal
local POINT_OF_NO_RETURN, RUN = term.atom "point_of_no_return", term.atom "run"

local function as_list(new)
  local kind = term.kind(new)
  return (kind == "list" or kind == "charlist") and new or { new }
end

-- A copy of the list with `new` behind its first `count` instructions.
local function spliced(list, count, new)
  local result = setmetatable({}, term.types.list)
  table.move(list, 1, count, 1, result)
  new = as_list(new)
  for i = 1, #new do result[count + i] = new[i] end
  return table.move(list, count + 1, #list, count + #new + 1, result)
end

local function position_of(list, anchor)
  for i = 1, #list do
    if equal(list[i], anchor) then return i end
  end
  return nil
end

-- The function of a list and `new` applied to both lists of an instructions value, or to the bare list.
local function both(place)
  return function(instructions, new)
    return up_and_down.map(instructions, function(list) return place(list, new) end)
  end
end

local function before(list, new, anchor) return spliced(list, (position_of(list, anchor) or #list + 1) - 1, new) end

local function after(list, new, anchor) return spliced(list, position_of(list, anchor) or #list, new) end

--- At the end.
insert_instruction.append = both(function(list, new) return spliced(list, #list, new) end)

--- Before the first instruction equal to `anchor`, at the end where there is none. In a down list: after it.
function insert_instruction.insert_before_instruction(instructions, new, anchor)
  return up_and_down.map(instructions,
    function(list) return before(list, new, anchor) end,
    function(list) return after(list, new, anchor) end)
end

--- After the first instruction equal to `anchor`, at the end where there is none. In a down list: before it.
function insert_instruction.insert_after_instruction(instructions, new, anchor)
  return up_and_down.map(instructions,
    function(list) return after(list, new, anchor) end,
    function(list) return before(list, new, anchor) end)
end

--- Before the point of no return, where a failure cancels the upgrade; else at the end.
insert_instruction.insert_before_point_of_no_return = both(function(list, new)
  return before(list, new, POINT_OF_NO_RETURN)
end)

--- Right after the point of no return; else at the end.
insert_instruction.insert_after_point_of_no_return = both(function(list, new)
  return after(list, new, POINT_OF_NO_RETURN)
end)

--- After the last `load_object_code`, else at the end: the first of all custom instructions.
insert_instruction.insert_after_load_object_code = both(function(list, new)
  for i = #list, 1, -1 do
    if effects.name(list[i]) == "load_object_code" then
      return spliced(list, position_of(list, list[i]), new)
    end
  end
  return spliced(list, #list, new)
end)

-- A pair that loads a module and runs it at once serves the upgrade, not the application.
local function is_runnable_pair(load, apply)
  local loaded = effects.loads(load)
  local module, name = effects.applies(apply)
  return loaded ~= nil and name == RUN and equal(module, loaded)
end

--- After the point of no return and whatever follows it, but before the first instruction that touches code, processes
-- or applications. A load of module M with `{apply,{M,run,_}}` right behind it is passed over.
insert_instruction.append_after_point_of_no_return = both(function(list, new)
  local i = (position_of(list, POINT_OF_NO_RETURN) or #list) + 1
  while i <= #list do
    local instruction = list[i]
    if is_runnable_pair(instruction, list[i + 1]) then
      i = i + 2
    elseif effects.modifies_code(instruction) or effects.modifies_processes(instruction)
      or effects.modifies_applications(instruction) then
      break
    else
      i = i + 1
    end
  end
  return spliced(list, i - 1, new)
end)

return insert_instruction
