--- Numbers of things in words: "1 process", "2 processes". English, and nothing else.
--
-- @module edeliver.relup.base.count

local count = {}

--- So many of them.
-- @tparam integer number
-- @string one the singular: "call", "process"
-- @string[opt] many the plural, where it is irregular
-- @treturn string
function count.of(number, one, many)
  if number == 1 then return "1 " .. one end
  return ("%d %s"):format(number, many or one:find "s$" and one .. "es" or one .. "s")
end

--- The form of a verb that goes with a number: `count.verb(1, "is", "are")`.
function count.verb(number, singular, plural) return number == 1 and singular or plural end

return count
