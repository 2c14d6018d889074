-- How long a rollout takes on 1, 4 and 16 nodes of this machine, by turns, four at a time, and together; and the skew of
-- `together`. bench/rollout.lua [NODES...]. Each node is a chat release with 50 websockets; each way leads there and back.

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;bench/?.lua;" .. package.path
local measure = require "lib.measure"
local chat = require "support.chat"
local clients = require "support.clients"
local core = require "edeliver.relup.core"
local relup = require "edeliver.relup"

local SIZES = { 1, 4, 16 }
if arg[1] then
  SIZES = {}
  for i, text in ipairs(arg) do SIZES[i] = math.tointeger(tonumber(text)) end
end
local ROUNDS, SOCKETS = 3, 50

local WAYS = {
  { name = "by turns", max_parallel = 1 }, { name = "4 at a time", max_parallel = 4 }, { name = "together", together = true },
}

local function roll(nodes, way, version)
  local started = core.now()
  local report, message = relup.rollout {
    nodes = nodes, version = version, min_healthy_time = 0, max_parallel = way.max_parallel, together = way.together,
    on_event = function() end,
  }
  assert(report, message)
  local longest = 0
  for _, node in ipairs(report.nodes) do longest = math.max(longest, node.stood_still_ms or 0) end
  return core.now() - started, report.skew_ms or 0, longest, report.skew_within_ms or 0
end

print(("%5s  %-12s %12s %16s %16s"):format("nodes", "how", "all, ms", "skew, ms", "stand-still, ms"))
for _, size in ipairs(SIZES) do
  local cookie, running, nodes = ("bench%d"):format(math.random(1 << 40)), {}, {}
  for i = 1, size do
    running[i] = chat.start { cookie = cookie }
    running[size + i] = clients.open { port = running[i].ports.endpoint, count = SOCKETS, interval = 200 }
    nodes[i] = { name = running[i].name, epmd_port = running[i].epmd_port, cookie = cookie }
  end
  local version = "2.0.0"
  for _, way in ipairs(WAYS) do
    local all, skews, stills, within = {}, {}, {}, {}
    for round = 1, 2 * ROUNDS do
      all[round], skews[round], stills[round], within[round] = roll(nodes, way, version)
      version = version == "2.0.0" and "1.0.0" or "2.0.0"
    end
    print(("%5d  %-12s %12.0f %16s %16.1f"):format(size, way.name, measure.median(all),
      way.together and ("%.1f +- %.1f"):format(measure.median(skews), measure.median(within)) or "-", measure.median(stills)))
  end
  for i = #running, 1, -1 do running[i]:stop() end
end
