--- Tells the http request processes that the upgrade is over, so that those that failed meanwhile may run again.

local instruction = require "edeliver.relup.instruction"

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
}
