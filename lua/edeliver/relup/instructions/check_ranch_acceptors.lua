--- Checks that the listeners of the application and their acceptors can be found.
--
-- Runs before the point of no return, so twice: when the release is checked and when it is installed.

local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local web = require "edeliver.relup.web"

local function count(pools)
  local running, stopped = 0, 0
  for _, pool in ipairs(pools) do running, stopped = running + #pool.running, stopped + #pool.stopped end
  return running, stopped
end

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

  --- Finds the listeners, for the steps that follow as well.
  -- @return[1] in words, what was found
  -- @return[2] nil, which piece is missing, "not_detected"
  run = function(node, _, ctx)
    local site, message, code = web.look(node, ctx)
    if not site then return nil, message, code end
    local missing = site:missing_acceptors(ctx.config.refuse)
    if missing then return nil, missing, "not_detected" end
    local pools
    pools, message, code = site:acceptors()
    if not pools then return nil, message, code end
    local running, stopped = count(pools)
    if running == 0 then return nil, ("%s: none of its acceptors runs"):format(site:describe()), "not_detected" end
    if stopped > 0 then
      ctx:log("warning", ("%d acceptors are terminated already: resume_ranch_acceptors, by hand, restarts them"):format(stopped))
    end
    return ("%s, %d acceptors"):format(site:describe(), running)
  end,
}
