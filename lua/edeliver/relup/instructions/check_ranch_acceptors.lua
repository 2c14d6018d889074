--- Checks that the listeners of the application and their acceptors can be found.
--
-- Runs before the point of no return, so twice: when the release is checked and when it is installed.

local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local listeners = require "edeliver.relup.web.listeners"
local web = require "edeliver.relup.web"

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
    local site, pools, code = web.look_for_acceptors(node, ctx)
    if not site then return nil, pools, code end
    local running, stopped = listeners.count(pools)
    if running == 0 then return nil, ("%s: no acceptor is running"):format(site:describe()), "not_detected" end
    if stopped > 0 then
      ctx:log("warning", count.of(stopped, "acceptor is", "acceptors are")
        .. " terminated already. resume_ranch_acceptors, run by hand, restarts what is stopped")
    end
    return ("%s, %s"):format(site:describe(), count.of(running, "acceptor"))
  end,
}
