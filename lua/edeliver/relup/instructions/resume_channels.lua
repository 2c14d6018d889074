--- Resumes the websockets of channels: exactly those that were asked to suspend.

local instruction = require "edeliver.relup.instruction"

return instruction.define {
  name = "resume_channels",
  section = "resume",
  undoes = "suspend_channels",
  order = {
    { after = "install", because = "suspended channels must wake up in the new code" },
    { after = "rerun_failed_requests", because = "what was suspended last is resumed first" },
    {
      before = "resume_ranch_acceptors",
      because = "else websockets that have just connected, and were never suspended, are resumed too",
    },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors", "check_ranch_connections" } end,
}
