--- What the benches share: a clock, medians, taking several ways in turn, and a report that marks what is not as wanted.
-- Knows nothing of nodes.

local core = require "edeliver.relup.core"

local measure = {}

function measure.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

--- Milliseconds that a function took, and what it returned first. What it refused is raised.
function measure.timed(f, ...)
  local before = core.now()
  local value, message = f(...)
  local took = core.now() - before
  return took, assert(value, message)
end

--- Runs every way once a round, beginning with another one each time, so that whatever else goes on meets all of them.
-- @tparam table ways functions that return a number, or several: each gets the round
-- @return for each way a list of medians, one for each number
function measure.in_turn(ways, rounds)
  local taken = {}
  for i = 1, #ways do taken[i] = {} end
  for round = 1, rounds do
    for turn = 1, #ways do
      local way = (round + turn) % #ways + 1
      for i, value in ipairs { ways[way](round) } do
        taken[way][i] = taken[way][i] or {}
        taken[way][i][round] = value
      end
    end
  end
  for _, numbers in ipairs(taken) do
    for i, values in ipairs(numbers) do numbers[i] = measure.median(values) end
  end
  return taken
end

local report = {}
report.__index = report

--- A report: lines of text, each with what is wanted of it.
function measure.report() return setmetatable({ missed = 0 }, report) end

--- Prints a line and, after it, each value that is not as wanted.
-- @tparam string text
-- @param ... `{ what, value, "at most" | "at least", limit }`
function report:line(text, ...)
  local missed = {}
  for _, wanted in ipairs { ... } do
    local what, value, bound, limit = table.unpack(wanted)
    local met = bound == "at most" and value <= limit or bound == "at least" and value >= limit
    if not met then missed[#missed + 1] = ("%s %s %.4g"):format(what, bound, limit) end
  end
  self.missed = self.missed + #missed
  print(text .. (#missed > 0 and "   not as wanted: " .. table.concat(missed, ", ") or ""))
end

--- Ends the program: with 1 where something was not as wanted.
function report:exit()
  if self.missed > 0 then print(("%d not as wanted"):format(self.missed)) end
  os.exit(self.missed == 0, true)
end

return measure
