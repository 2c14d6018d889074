--- Waits some seconds, counting down: to try out what suspends and resumes.

local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local shift_instruction = require "edeliver.relup.shift_instruction"

local DEFAULT_SECONDS, MOST_SECONDS = 30, 300

local sleep = instruction.define {
  name = "sleep",
  section = "suspend",
  arguments = function() return DEFAULT_SECONDS end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,

  --- Waits, the connection to the node staying alive meanwhile; not longer than somebody waits for the release handler.
  -- @int seconds 300 at most: meanwhile everybody who is suspended waits
  run = function(node, seconds, ctx)
    if math.type(seconds) ~= "integer" or seconds < 0 or seconds > MOST_SECONDS then
      return nil, ("sleep takes a whole number of seconds, %d at most"):format(MOST_SECONDS), "badarg"
    end
    for left = seconds, 1, -1 do
      ctx:log("info", ("Waiting %s..."):format(count.of(left, "second")))
      if ctx:time_left() < 1000 then
        return nil, ("gave up waiting %s early: the time for the install is over"):format(count.of(left, "second")), "timeout"
      end
      local slept, message, code = node:sleep(1000)
      if not slept then return nil, message, code end
    end
    ctx:log("info", ("Waited %s."):format(count.of(seconds, "second")))
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
