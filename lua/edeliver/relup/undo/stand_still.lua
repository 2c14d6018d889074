--- How long suspended processes stood still: all of them together, and each.
--
-- It is told by the ledger who is asked to suspend, and who runs again; it asks nobody. Times are upper bounds, from when a
-- process was asked to suspend until all answers to its resume were there.
--
-- @classmod edeliver.relup.undo.stand_still

local core = require "edeliver.relup.core"

local stand_still = {}
stand_still.__index = stand_still

--- @return one in which nobody stands still
function stand_still.new() return setmetatable({ batches = {}, ended = {} }, stand_still) end

--- Processes are asked to suspend, which are not suspended yet.
-- @param pids a pid set
function stand_still:begin(pids)
  local now = core.now()
  table.insert(self.batches, { pids = pids, at = now })
  self.since = self.since or now
end

--- Those of the last `begin` were not asked, after all.
-- @bool nobody_else whether nobody else stands still, either
function stand_still:take_back(nobody_else)
  self.batches[#self.batches] = nil
  if nobody_else then self.since = nil end
end

--- Processes run again.
-- @param pids a pid set
-- @bool all whether nobody stands still any more
function stand_still:finish(pids, all)
  local now = core.now()
  for _, batch in ipairs(self.batches) do
    local count = #batch.pids:both(pids)
    if count > 0 then
      table.insert(self.ended, { count = count, ms = now - batch.at })
      batch.pids = batch.pids:minus(pids)
    end
  end
  if all and self.since then
    self.total = (self.total or 0) + now - self.since
    self.since = nil
  end
end

--- Nobody stands still any more, and nobody knows since when: the node was restarted, or somebody else has resumed them.
function stand_still:forget() self.since = nil end

--- For how long somebody has been standing still by now, in ms; 0 where nobody is.
function stand_still:so_far() return self.since and core.now() - self.since or 0 end

--- How long each process stood still, in ms: `{ p50 =, p99 =, max = }`; nil where none runs again.
function stand_still:by_pid()
  local total, seen, answer = 0, 0, {}
  table.sort(self.ended, function(a, b) return a.ms < b.ms end)
  for _, part in ipairs(self.ended) do total = total + part.count end
  for _, part in ipairs(self.ended) do
    seen = seen + part.count
    if not answer.p50 and seen * 2 >= total then answer.p50 = part.ms end
    if not answer.p99 and seen * 100 >= total * 99 then answer.p99 = part.ms end
    answer.max = part.ms
  end
  return total > 0 and answer or nil
end

return stand_still
