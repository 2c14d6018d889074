--- `stuck`: who sits suspended on a node now, whoever suspended them.
--
-- @module edeliver.relup.cli.commands.stuck

local exit = require "edeliver.relup.cli.exit"
local processes = require "edeliver.relup.cli.processes"
local session = require "edeliver.relup.cli.session"

local stuck = {
  on_node = true,
  summary = "List the processes that sit suspended now.",
  description = "Looks at every process of the node. What an accident left suspended shows here, with no journal needed.",
  examples = { "edeliver-relup myapp@web1 stuck", "edeliver-relup myapp@web1 stuck --json" },
}

--- Runs the command.
-- @return exit code
function stuck.command(args)
  local node <close>, code = session.connect(args)
  if not node then return code end
  local sitting, sleeping, why = node:suspended()
  if not sitting then
    args.output:fail(sleeping, why)
    return exit.FAILED
  end
  local rows, message, problem = processes.describe(node, sitting)
  if not rows then
    args.output:fail(message, problem)
    return exit.FAILED
  end
  args.output:give { suspended = processes.as_json(rows), hibernating = #sleeping }
  if #rows == 0 then
    args.output:line "No process sits suspended."
  else
    args.output:table(processes.HEADER, processes.as_rows(rows))
  end
  if #sleeping > 0 then
    args.output:line(("%d processes hibernate; whether they are suspended shows only when they wake up. `resume` wakes them.")
      :format(#sleeping))
  end
  return exit.OK
end

return stuck
