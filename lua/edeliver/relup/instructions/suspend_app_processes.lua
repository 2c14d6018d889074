--- A marker: here the release handler suspends the processes whose modules change. Changes nothing.

local instruction = require "edeliver.relup.instruction"

return instruction.define {
  name = "suspend_app_processes",
  section = "upgrade",
  modify_relup = function(instructions) return instructions end,

  --- Nothing: the release handler does it while it installs.
  run = function() return true end,
}
