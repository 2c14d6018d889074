--- What may go wrong while processes are suspended or nobody accepts: mailboxes grow, clients and servers lose patience.
-- Looked at before each step, and during the wait for requests.
--
-- Knows numbers, no web servers: the limits come from the step that found the websockets, in `ctx.idle_timeout`.
--
-- @module edeliver.relup.step.watch

local core = require "edeliver.relup.core"
local shape = require "edeliver.relup.node.shape"

local watch = {}

--- phoenix.js sends a heartbeat every 30 s and gives up when the next is due and the last was not answered: after 30 to 60 s.
watch.PHOENIX_JS = 30000 -- ms

--- After how long a wait for a websocket a client as `phx.new` sets it up takes to long polling (`longPollFallbackMs`), and
-- keeps to it for as long as its tab is open.
watch.FALLBACK = 2500 -- ms

-- Past the point of no return of a relup that calls us, a failure restarts the node, which helps nobody.
local function refuse(ctx, message)
  if ctx.place ~= "within" and ctx.place ~= "behind" then return nil, message, "mailbox" end
  ctx:log("warning", message .. ". The relup is past its point of no return, so the upgrade is not stopped")
  return true
end

local function check_mailboxes(node, ctx)
  local max, pids = ctx.config.max_mailbox, ctx:suspended()
  if not max then return true end
  local answer, message, code = shape.expect(node, "how long the mailboxes are", shape.tuple(shape.integer, shape.integer),
    node:run("long_mailboxes", { Pids = pids, Max = max }, 30000))
  if not answer then return nil, message, code end
  if answer[1] == 0 then return true end
  return refuse(ctx, ("%d of %d suspended processes have more than %d messages waiting, up to %d (config.max_mailbox)"):format(
    answer[1], #pids, max, answer[2]))
end

-- Once, when the shorter of the limits has passed.
local function check_time(ctx)
  local idle, ms = ctx.idle_timeout, ctx:suspended_for()
  if not idle or ctx.time_was_told or ms <= math.min(idle, watch.PHOENIX_JS) then return end
  ctx.time_was_told = true
  local server = idle < math.huge and ("; the server closes those whose client was silent for %.0f s"):format(idle / 1000) or ""
  ctx:log("warning", ("websockets have been suspended for %.1f s: phoenix.js gives up on a socket 30 to 60 s after its last "
    .. 'heartbeat was answered%s. With config.target = "channels" heartbeats are answered meanwhile'):format(ms / 1000, server))
end

-- Once. Whoever connects meanwhile is not among the suspended.
local function check_accepting(ctx)
  local since = ctx.not_accepting_since
  if not since or ctx.fallback_was_told or core.now() - since <= watch.FALLBACK then return end
  ctx.fallback_was_told = true
  ctx:log("warning", ("no new connection has been accepted for %.1f s: a client of phoenix.js with longPollFallbackMs, as "
    .. "phx.new sets it, takes to long polling after 2.5 s, and keeps to it until its tab is closed"):format(
    (core.now() - since) / 1000))
end

--- Remembers since when no connection is accepted for an endpoint; or that they are accepted again.
-- @param ctx
-- @tparam boolean accepts
function watch.accepting(ctx, accepts)
  ctx.not_accepting_since = not accepts and core.now() or nil
end

--- Looks at what is suspended, and since when no connection is accepted.
-- @param node
-- @param ctx `ctx.config.max_mailbox` is how many messages may wait for a suspended process; `ctx.idle_timeout`
-- after what time the server closes a silent websocket
-- @return[1] true
-- @return[2] nil, message, "mailbox" where too many messages wait
function watch.watch(node, ctx)
  if ctx.dry_run then return true end
  check_accepting(ctx)
  if #ctx:suspended() == 0 then return true end
  check_time(ctx)
  return check_mailboxes(node, ctx)
end

return watch
