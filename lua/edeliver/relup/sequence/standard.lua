--- The steps around an install, in the order that is safe: what `upgrade`, `deploy` and a rollout run.
--
-- @module edeliver.relup.sequence.standard

local standard = {}

--- The steps.
-- @tparam table install the step that installs
-- @tparam boolean no_sockets nothing is suspended
-- @tparam[opt] table before steps right before it
-- @tparam[opt] table after steps right behind it
-- @treturn table as `sequence.new` takes it
function standard.around(install, no_sockets, before, after)
  local steps = { "check_processes_running_old_code" }
  local function add(more) table.move(more, 1, #more, #steps + 1, steps) end
  if not no_sockets then
    add {
      "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors", "suspend_channels",
      "finish_running_requests",
    }
  end
  add(before or {})
  add { install }
  add(after or {})
  if not no_sockets then add { "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors" } end
  return steps
end

return standard
