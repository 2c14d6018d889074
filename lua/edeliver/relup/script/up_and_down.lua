--- The instructions value: what one entry of a relup asks for, up and down together.
--
-- `up_instructions`, `down_instructions`, `up_version`, `down_version`, `changed_modules`. Functions that change
-- instructions take such a value or one bare list; this file tells the two apart and copies, so that what was handed in
-- stays as it is.

local up_and_down = {}

--- Whether this is an instructions value, not a bare list.
function up_and_down.is(value)
  return type(value) == "table" and getmetatable(value) == nil and rawget(value, "up_instructions") ~= nil
end

--- The same value with some fields replaced.
function up_and_down.with(instructions, fields)
  local changed = {}
  for key, value in pairs(instructions) do changed[key] = value end
  for key, value in pairs(fields) do changed[key] = value end
  return changed
end

--- Applies `up` to a bare list, or `up` and `down` (`up` where it is not given) to the lists of a value.
function up_and_down.map(instructions, up, down)
  if not up_and_down.is(instructions) then return up(instructions) end
  return up_and_down.with(instructions, {
    up_instructions = up(instructions.up_instructions),
    down_instructions = (down or up)(instructions.down_instructions),
  })
end

return up_and_down
