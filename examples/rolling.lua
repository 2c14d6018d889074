-- Upgrades several nodes, one after the other: lua5.4 rolling.lua APPLICATION VERSION NODE...
--
-- Stops at the first node that fails, so that at most one is ever in doubt. May be run again: nodes that have the version
-- already are passed over.

local relup = require "edeliver.relup"

local application, version = arg[1], arg[2]
local nodes = table.move(arg, 3, #arg, 1, {})
if #nodes == 0 then
  io.stderr:write "usage: lua5.4 rolling.lua APPLICATION VERSION NODE...\n"
  os.exit(64)
end

local report, message = relup.rollout {
  nodes = nodes, name = application, version = version, canary = 1, max_parallel = 2, min_healthy_time = 1000, permanent = true,
  on_event = function(event)
    if event.event == "state" then print(event.node, event.state) end
  end,
}
if not report then
  io.stderr:write(message, "\n")
  os.exit(1, true)
end
