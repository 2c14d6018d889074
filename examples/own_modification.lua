-- A modification of one's own: edeliver-relup patch RELUP --app NAME --script own_modification.lua
--
-- Soft purges, and a word at either end; no websocket is touched.

local info = require "edeliver.relup.instructions.info"
local insert_instruction = require "edeliver.relup.insert_instruction"
local modification = require "edeliver.relup.modification"
local soft_purge = require "edeliver.relup.instructions.soft_purge"

return modification.define {
  name = "own",
  modify_relup = function(instructions, config)
    instructions = soft_purge.modify_relup(instructions, config)
    instructions = info.modify_relup(instructions, config, "off we go", "back we go")
    return info.modify_relup(instructions, config, "there we are", "there we were", insert_instruction.append)
  end,
}
