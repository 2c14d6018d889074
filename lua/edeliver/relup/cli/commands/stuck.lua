--- `stuck`: which processes of a node are suspended now, by any run or by hand.
--
-- @module edeliver.relup.cli.commands.stuck

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local processes = require "edeliver.relup.cli.processes"
local session = require "edeliver.relup.cli.session"

local stuck = {
  on_node = true,
  summary = "List the processes that are suspended now.",
  description = "Looks at every process of the node. What an accident left suspended shows here; no journal is needed.",
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
    args.output:line "No process is suspended."
  else
    args.output:table(processes.HEADER, processes.as_rows(rows))
  end
  if #sleeping > 0 then
    args.output:line(("%s. A hibernating process does not show whether it is suspended: `resume` wakes and resumes %s.")
      :format(count.of(#sleeping, "process hibernates", "processes hibernate"), count.verb(#sleeping, "it", "them")))
  end
  return exit.OK
end

return stuck
