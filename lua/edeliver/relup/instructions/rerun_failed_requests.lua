--- Tells the http request processes that the upgrade is over, so that those that failed meanwhile may run again.

local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local term = require "edeliver.relup.term"
local web = require "edeliver.relup.web"

-- Nothing is remembered: all requests that run now.
local function tell_found(node, ctx)
  local site, message, code = web.known(node, ctx)
  if not site then return nil, message, code end
  local requests
  requests, message, code = site:requests()
  if not requests then return nil, message, code end
  for _, pid in requests:iter() do
    local sent
    sent, message, code = node:send(pid, term.atom "upgrade_finished")
    if not sent then return nil, message, code end
  end
  return #requests
end

return instruction.define {
  name = "rerun_failed_requests",
  section = "resume",
  order = {
    { after = "install", because = "a request that failed has to run again in the new code" },
    { after = "finish_running_requests", because = "that step tells the same requests that the upgrade starts" },
  },
  arguments = instruction.application_name,
  dependencies = function()
    return { "check_ranch_acceptors", "check_ranch_connections", "finish_running_requests" }
  end,

  --- Sends `upgrade_finished` to those that were sent `upgrade_started`; where no step of this run has, to all that run.
  run = function(node, _, ctx)
    local told = ctx.requests_told
    if told then
      local done, message, code = ctx:undo "requests"
      if not done then return nil, message, code end
    else
      local message, code
      told, message, code = tell_found(node, ctx)
      if not told then return nil, message, code end
    end
    if told == 0 then return "no running requests" end
    return count.of(told, "request") .. " told that the upgrade is over"
  end,
}
