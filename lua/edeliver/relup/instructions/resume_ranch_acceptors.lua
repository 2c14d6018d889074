--- Accepts connections again: restarts the acceptors that were terminated.

local instruction = require "edeliver.relup.instruction"

return instruction.define {
  name = "resume_ranch_acceptors",
  section = "resume",
  undoes = "suspend_ranch_acceptors",
  order = {
    { after = "install", because = "new connections must begin in the new code" },
    { after = "rerun_failed_requests", because = "what was suspended last is resumed first" },
    {
      after = "resume_channels",
      because = "else websockets that have just connected, and were never suspended, are resumed too",
    },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors" } end,
}
