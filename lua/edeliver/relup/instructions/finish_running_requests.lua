--- Waits a short time for the running http requests to end, and tells the rest that an upgrade starts.

local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"

return instruction.define {
  name = "finish_running_requests",
  section = "suspend",
  order = {
    {
      after = "suspend_ranch_acceptors",
      because = "while acceptors run, new requests keep arriving and the waiting has no end",
    },
    {
      after = "suspend_channels",
      because = "running requests are waited for with all channels at rest, which may have started them",
    },
    { before = "install", because = "requests should end in the code that they began in" },
  },

  --- `{Name, 500}`: the application and how long to wait at most, in ms.
  arguments = function(instructions, config)
    return term.tuple { instruction.application_name(instructions, config), 500 }
  end,

  dependencies = function() return { "check_ranch_acceptors", "check_ranch_connections" } end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,
}
