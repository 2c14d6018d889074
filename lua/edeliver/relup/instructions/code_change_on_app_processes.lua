--- A marker: here the release handler calls `code_change` in the suspended processes. Changes nothing.

local instruction = require "edeliver.relup.instruction"

return instruction.define {
  name = "code_change_on_app_processes",
  section = "upgrade",
  modify_relup = function(instructions) return instructions end,

  --- Nothing: the release handler does it while it installs.
  run = function() return true end,
}
