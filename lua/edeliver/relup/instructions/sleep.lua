--- Waits some seconds, counting down: to try out what suspends and resumes.

local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local shift_instruction = require "edeliver.relup.shift_instruction"

local DEFAULT_SECONDS = 30

local sleep = instruction.define {
  name = "sleep",
  section = "suspend",
  arguments = function() return DEFAULT_SECONDS end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,

  --- Waits, the connection to the node staying alive meanwhile.
  -- @int seconds
  run = function(node, seconds, ctx)
    for left = seconds, 1, -1 do
      ctx:log("info", ("Waiting %d seconds..."):format(left))
      node:sleep(1000)
    end
    ctx:log("info", ("Waited %d seconds."):format(seconds))
    return true
  end,
}

--- Puts the wait after the point of no return, before anything changes.
-- @int[opt=30] seconds
function sleep.modify_relup(instructions, config, seconds)
  local call = sleep.call_this(math.max(0, seconds or DEFAULT_SECONDS), config)
  local inserted = sleep.insert_where()(instructions, call)
  if not config or config.runtime ~= "edeliver" then return inserted end
  return shift_instruction.ensure_module_loaded_before_instruction(inserted, call, instruction.module_of(sleep))
end

return sleep
