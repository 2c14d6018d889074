--- Stops accepting connections. Acceptors answer no sys messages, so they are terminated, to be restarted later.

local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"

return instruction.define {
  name = "suspend_ranch_acceptors",
  section = "suspend",
  order = {
    { before = "install", because = "no new connection may run into code that is being exchanged" },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors" } end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,
}
