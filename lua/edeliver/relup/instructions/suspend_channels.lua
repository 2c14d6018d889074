--- Suspends the websockets of channels, so that no event is handled while code is exchanged.

local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"

return instruction.define {
  name = "suspend_channels",
  section = "suspend",
  order = {
    {
      after = "suspend_ranch_acceptors",
      because = "while acceptors run, sockets keep arriving that nobody suspended",
    },
    { before = "install", because = "no event may be handled by code that is being exchanged" },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors", "check_ranch_connections" } end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,
}
