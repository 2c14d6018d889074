--- Prints a message in the course of an upgrade.

local instruction = require "edeliver.relup.instruction"
local up_and_down = require "edeliver.relup.script.up_and_down"
local insert_instruction = require "edeliver.relup.insert_instruction"
local shift_instruction = require "edeliver.relup.shift_instruction"

local info = instruction.define {
  name = "info",
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,

  --- Logs the message.
  run = function(_, message, ctx)
    ctx:log("info", tostring(message))
    return true
  end,
}

--- Puts a message into a relup; messages may be there many times, each with its own place.
-- @param instructions an instructions value
-- @param config
-- @string[opt=""] up what an upgrade says
-- @string[opt=""] down what a downgrade says
-- @param[opt] insert_where where, as the functions of `insert_instruction` do it
function info.modify_relup(instructions, config, up, down, insert_where)
  insert_where = insert_where or info.insert_where()
  local up_call, down_call = info.call_this(up or "", config), info.call_this(down or "", config)
  local up_list = insert_where(instructions.up_instructions, up_call)
  local down_list = insert_where(instructions.down_instructions, down_call)
  if config and config.runtime == "edeliver" then
    up_list = shift_instruction.ensure_module_loaded_before_first_runnable_instructions(up_list, up_call)
    down_list = shift_instruction.ensure_module_unloaded_after_last_runnable_instruction(down_list, down_call)
  end
  return up_and_down.with(instructions, { up_instructions = up_list, down_instructions = down_list })
end

return info
