--- How a node does, before and after: what is measured, and when that is no longer healthy.
--
-- @module edeliver.relup.cluster.health

local count = require "edeliver.relup.base.count"
local hold = require "edeliver.relup.cluster.hold"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local health = {}

local MEASURED = shape.tuple(shape.integer, shape.integer, shape.integer, shape.integer, shape.list(shape.any))

--- What of a node may be so much worse than before.
health.LIMITS = {
  run_queue = 50, -- processes more that wait for a scheduler
  messages = 10000, -- more of them in mailboxes
  memory = 512 << 20, -- bytes more
  restarts = 0, -- children of supervisors that are other processes
  errors = 1, -- a second, of the logger
  sockets = 0.1, -- of them, fewer
}

--- Measures a node.
-- @param node
-- @param[opt] children what an earlier one gave: those that are other processes now count as restarted
-- @return[1] `{ run_queue =, messages =, memory = bytes, restarts =, errors = since the rollout holds the node, at = ms }`, and
-- the children, a term
-- @return[2] nil, message, code
function health.measure(node, children)
  local answer, message, code = shape.expect(node, "how it does", MEASURED,
    node:run("health", { Before = children or term.list {} }, 30000))
  if not answer then return nil, message, code end
  return {
    run_queue = answer[1], messages = answer[2], memory = answer[3], restarts = answer[4],
    errors = hold.errors(node),
  }, answer[5]
end

--- What is wrong with a node, in words.
-- @tparam table before what was measured before the upgrade, with `sockets`
-- @tparam table now what is measured now, with `sockets` and `seconds` since the upgrade
-- @tparam[opt] table limits as `health.LIMITS`
-- @return a sentence, or nil where it is healthy
function health.problem(before, now, limits)
  limits = setmetatable(limits or {}, { __index = health.LIMITS })
  if now.run_queue > before.run_queue + limits.run_queue then
    return ("%s wait for a scheduler, %d before"):format(count.of(now.run_queue, "process"), before.run_queue)
  elseif now.messages > before.messages + limits.messages then
    return ("%s in its mailboxes, %d before"):format(count.of(now.messages, "message"), before.messages)
  elseif now.memory > before.memory + limits.memory then
    return ("it uses %.0f MB, %.0f MB before"):format(now.memory / 1e6, before.memory / 1e6)
  elseif now.restarts > limits.restarts then
    return ("supervisors have restarted %s"):format(count.of(now.restarts, "child", now.restarts .. " children"))
  elseif (now.errors - before.errors) / math.max(now.seconds, 1) > limits.errors then
    return ("it logged %s in %.0f s"):format(count.of(now.errors - before.errors, "error"), now.seconds)
  elseif before.sockets and now.sockets and now.sockets < before.sockets * (1 - limits.sockets) then
    return ("it has %s, %d before"):format(count.of(now.sockets, "websocket"), before.sockets)
  end
  return nil
end

return health
