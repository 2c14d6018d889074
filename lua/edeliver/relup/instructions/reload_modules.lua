--- A marker: here the release handler loads the new modules. Changes nothing.

local instruction = require "edeliver.relup.instruction"

return instruction.define {
  name = "reload_modules",
  section = "upgrade",
  modify_relup = function(instructions) return instructions end,

  --- Nothing: the release handler does it while it installs.
  run = function() return true end,
}
