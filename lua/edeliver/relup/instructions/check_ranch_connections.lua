--- Checks that the connections can be found, and websockets of channels told from the rest.
--
-- Runs before the point of no return, so twice: when the release is checked and when it is installed.

local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local web = require "edeliver.relup.web"

-- What the operator should know of time, with numbers; `step.watch` warns by them.
local function tell_limits(node, ctx, site, target)
  local polls, message, code = endpoints.count_polls(node)
  if not polls then return nil, message, code end
  if polls > 0 then
    ctx:log("info", count.of(polls, "client polls", "clients poll") .. " (long polling): left alone; a waiting poll is no work")
  end
  if not site.endpoints or target == "channels" then return true end
  local idle, problem, why = endpoints.idle_timeout(node, site.endpoints)
  if problem then return nil, problem, why end
  ctx.idle_timeout = idle or math.huge
  if idle then
    ctx:log("info", ("the server closes a websocket after %.0f s of silence, and phoenix.js gives up 30 to 60 s after its last "
      .. "heartbeat was answered: websockets have to be resumed before that"):format(idle / 1000))
  end
  return true
end

return instruction.define {
  name = "check_ranch_connections",
  section = "check",
  order = {
    {
      before = { "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "install" },
      because = "a check that fails before anything is suspended or installed cancels the upgrade and changes nothing",
    },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors" } end,
  insert_where = function() return insert_instruction.insert_before_point_of_no_return end,

  --- Finds the connections, and what `config.target` will have suspended.
  -- @return[1] in words, what was found
  -- @return[2] nil, which piece is missing, "not_detected"
  run = function(node, _, ctx)
    local site, message, code = web.known(node, ctx)
    if not site then return nil, message, code end
    local missing = site:missing_connections()
    if missing then return nil, missing, "not_detected" end
    local found
    found, message, code = site:connections()
    if not found then return nil, message, code end
    local target
    target, message, code = site:target(ctx.config.target)
    if not target then return nil, message, code end
    if #(target == "channels" and found.channels or found.websockets) == 0 then
      ctx:log("warning", ("nothing to suspend: %s has no such process now"):format(site:describe()))
    end
    if #found.idle > 0 then
      ctx:log("info", count.of(#found.idle, "websocket") .. " without a channel: left alone")
    end
    local told
    told, message, code = tell_limits(node, ctx, site, target)
    if not told then return nil, message, code end
    return ("%s, %s, %s"):format(count.of(#found.websockets, "websocket"), count.of(#found.channels, "channel"),
      count.of(#found.http, "http connection"))
  end,
}
