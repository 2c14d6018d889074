--- Checks that the listeners of the application and their acceptors can be found.
--
-- Runs before the point of no return, so twice: when the release is checked and when it is installed.

local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"

return instruction.define {
  name = "check_ranch_acceptors",
  section = "check",
  order = {
    {
      before = { "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "install" },
      because = "a check that fails before anything is suspended or installed cancels the upgrade and changes nothing",
    },
  },
  arguments = instruction.application_name,
  insert_where = function() return insert_instruction.insert_before_point_of_no_return end,
}
