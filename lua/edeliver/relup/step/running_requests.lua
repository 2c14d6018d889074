--- The wait for running http requests to end: once while sockets still run, and once, for the rest, while they are suspended.
--
-- Knows no web server: `site` is what `web` gives.
--
-- @module edeliver.relup.step.running_requests

local core = require "edeliver.relup.core"
local watch = require "edeliver.relup.step.watch"

local running_requests = {}

local POLL = 20 -- ms, between looks at them
running_requests.PATIENCE = 500 -- ms, for them to end

-- Which of these processes live.
local function living(node, pids)
  local alive, message, code = node:map("erlang", "is_process_alive", pids)
  if not alive then return nil, message, code end
  return pids:filter(function(_, i) return alive[i] end)
end

--- Waits until no request runs any more, or the time is up.
-- @param node
-- @param ctx
-- @param site
-- @tparam number patience ms
-- @param[opt] but a pid set of requests that are not waited for
-- @return[1] the pid set of those that still run, `but` included where they do
-- @return[1] how many ran, `but` excluded; how long the wait was, in ms
-- @return[2] nil, message, code
function running_requests.wait(node, ctx, site, patience, but)
  local started, waited, seen = core.now(), 0, 0
  but = but or node:pids {}
  local all, message, code = site:requests()
  while all do
    local left = all:minus(but)
    if #left > seen then seen = #left end
    if #left == 0 or waited >= patience then return all, seen, core.now() - started end
    local pause = math.min(POLL, patience - waited)
    local slept, problem, why = node:sleep(pause)
    if not slept then return nil, problem, why end
    waited = waited + pause
    local fine, trouble, reason = watch.watch(node, ctx)
    if not fine then return nil, trouble, reason end
    all, message, code = living(node, all)
    -- On connections that live on, others may have begun.
    if all and #all:minus(but) == 0 then all, message, code = site:requests() end
  end
  return nil, message, code
end

return running_requests
