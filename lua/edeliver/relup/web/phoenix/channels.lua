--- The channels of Phoenix endpoints, 1.4 to 1.8: one process for each topic that a websocket has joined, below the endpoint's
-- pools, and monitored by the websocket's process.
--
-- Knows no web server: it is given connections and says which of them have channels. What has to be done for each process is
-- done on the node, by compiled functions: only what stands out is looked at one by one, and little comes over the wire.
--
-- @module edeliver.relup.web.phoenix.channels

local shape = require "edeliver.relup.node.shape"

local channels = {}

local TIMEOUT = 30000 -- ms

--- All channel processes of endpoints.
-- @param node
-- @tparam table endpoints their registered names, as atoms
-- @return[1] a pid set
-- @return[2] nil, message, code
function channels.find(node, endpoints)
  local found, message, code = shape.expect(node, "which channels it has", shape.binary,
    node:run("phoenix_channels", { Endpoints = endpoints }, TIMEOUT))
  if not found then return nil, message, code end
  return node:pids(found)
end

--- Which of these connections have channels. A process monitors its channel from the moment that a join starts until the channel
-- has ended.
-- @param node
-- @param connections a pid set
-- @param found what `find` gave
-- @return[1] the pid set of those that have
-- @return[1] the pid set of those that have none, or are dead
-- @return[2] nil, message, code
function channels.of(node, connections, found)
  if #connections == 0 or #found == 0 then return node:pids {}, connections end
  local without, message, code = shape.expect(node, "which connections have no channel", shape.binary,
    node:run("without_channels", { Pids = connections, Channels = found }, TIMEOUT))
  if not without then return nil, message, code end
  without, message, code = node:pids(without)
  if not without then return nil, message, code end
  return connections:minus(without), without
end

return channels
