--- The modification that fits every release: `soft_purge`.
--
-- @module edeliver.relup.default_modification

local modification = require "edeliver.relup.modification"
local soft_purge = require "edeliver.relup.instructions.soft_purge"

return modification.define {
  name = "default",
  priority = modification.PRIORITY_DEFAULT,
  modify_relup = function(instructions, config) return soft_purge.modify_relup(instructions, config) end,
}
