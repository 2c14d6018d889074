--- What became of those that a bulk request asked, sorted: done, dead, silent. Asks nothing itself.
--
-- @module edeliver.relup.node.bulk_result

local core = require "edeliver.relup.core"

local bulk_result = {}

--- Sorts them.
-- @param pids those that were asked
-- @tparam[opt] table errors what `node:bulk_suspend` or `node:bulk_resume` gave for those that did not confirm
-- @return `{ done =, dead =, silent = }`: the pid sets of those that have confirmed, that are dead, and that may still do it
function bulk_result.sort(pids, errors)
  local dead, silent = {}, {}
  for _, entry in ipairs(errors or {}) do
    local of = entry.reason == "noproc" and dead or silent
    of[#of + 1] = entry.pid
  end
  local result = { dead = core.pids(dead), silent = core.pids(silent) }
  result.done = core.pids(pids):minus(result.dead):minus(result.silent)
  return result
end

return bulk_result
