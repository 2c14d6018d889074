--- The instructions value: what one entry of a relup asks for, up and down together.
--
-- `up_instructions`, `down_instructions`, `up_version`, `down_version`, `changed_modules`. Functions that change
-- instructions take such a value or one bare list; this file tells the two apart and copies, so that what was handed in
-- stays as it is.

local instructions_value = {}

--- Whether this is an instructions value, not a bare list.
function instructions_value.is(value)
  return type(value) == "table" and getmetatable(value) == nil and rawget(value, "up_instructions") ~= nil
end

--- The same value with some fields replaced.
function instructions_value.with(instructions, fields)
  local changed = {}
  for key, value in pairs(instructions) do changed[key] = value end
  for key, value in pairs(fields) do changed[key] = value end
  return changed
end

--- Applies `up` to a bare list, or `up` and `down` (`up` where it is not given) to the lists of a value.
function instructions_value.map(instructions, up, down)
  if not instructions_value.is(instructions) then return up(instructions) end
  return instructions_value.with(instructions, {
    up_instructions = up(instructions.up_instructions),
    down_instructions = (down or up)(instructions.down_instructions),
  })
end

return instructions_value
