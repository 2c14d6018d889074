--- A marker: here the release handler resumes the processes that it suspended. Changes nothing.

local instruction = require "edeliver.relup.instruction"

return instruction.define {
  name = "resume_app_processes",
  section = "upgrade",
  modify_relup = function(instructions) return instructions end,

  --- Nothing: the release handler does it while it installs.
  run = function() return true end,
}
