--- Whether a node that was upgraded is well, and stays so for long enough.
--
-- @module edeliver.relup.cluster.watch

local core = require "edeliver.relup.core"
local node_module = require "edeliver.relup.node"
local state = require "edeliver.relup.cluster.state"

local watch = {}

local HEALTH = 1000 -- ms between looks at a node's health

-- What the operator's own function says of a node; it has a connection of its own.
local function ask_function(self, node)
  local healthy = self.config.healthy
  if type(healthy) ~= "function" then return nil end
  local connected <close>, message = node_module.connect(node.name, node.connect)
  if not connected then return message end
  local ran, fine, why = pcall(healthy, connected)
  if not ran then return tostring(fine) end
  return not fine and (why or "its check says no") or nil
end

--- Looks at the health of a node that was upgraded: done once it was well for long enough, unhealthy where it never is.
function watch.node(self, node)
  local now, config = core.now(), self.config
  if node.health and node.settled and not node.asked and node.health.seen ~= true and node.watched then
    node.health.seen = true
    -- A look at a node with a million processes costs it something: nine tenths of the time nobody looks, but for the second look
    -- that tells that it stayed well.
    node.next_look = math.max(node.next_look, now + math.min(9 * (node.health.took or 0), config.min_healthy_time))
    local problem = node.health.problem or ask_function(self, node)
    node.well_since = not problem and (node.well_since or now) or nil
    node.well_until = not problem and now or nil
    node.problem = problem
    state.emit(self, { event = "health", node = node.name, health = node.health.now, problem = problem })
  end
  if node.well_since and node.well_until - node.well_since >= config.min_healthy_time then
    return state.set(self, node, "done")
  end
  if now - node.upgraded_at > config.healthy_deadline then
    local within = config.healthy_deadline / 1000
    return state.set(self, node, "unhealthy", node.problem or node.asked
      and ("its health was still being looked at after %.0f s"):format(within)
      or ("it was not healthy for %.0f s without a break in %.0f s"):format(config.min_healthy_time / 1000, within))
  end
  if node.settled and not node.asked and now >= (node.next_look or 0) then
    node.asked, node.watched, node.next_look = true, true, now + HEALTH
    node.process:tell { act = "health" }
  end
end

return watch
