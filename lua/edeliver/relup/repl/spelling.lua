--- The name that somebody meant who has mistyped it.
--
-- @module edeliver.relup.repl.spelling

local spelling = {}

local FAR = 2 -- letters that may differ

-- How many letters have to be put in, taken out, changed, or swapped with the next.
local function distance(a, b)
  local before, row = {}, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local last = before
    before, row = row, { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + same)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], last[j - 2] + 1)
      end
    end
  end
  return row[#b]
end

--- The nearest name.
-- @tparam ?string name that is not there
-- @tparam table names a table with the names that are
-- @treturn ?string
function spelling.meant(name, names)
  if not name then return nil end
  local best, nearest = nil, math.min(FAR, #name - 1) + 1
  for known in pairs(names) do
    if type(known) == "string" and known ~= name and math.abs(#known - #name) <= nearest then
      local far = distance(name, known)
      if far < nearest or far == nearest and best and known < best then best, nearest = known, far end
    end
  end
  return best
end

return spelling
