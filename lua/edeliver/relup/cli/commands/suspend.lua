--- `suspend`: suspends an application's websockets, or the pids given, until `resume`.
--
-- @module edeliver.relup.cli.commands.suspend

local bulk_command = require "edeliver.relup.cli.bulk_command"
local count = require "edeliver.relup.base.count"
local site_options = require "edeliver.relup.cli.site_options"

local suspend = {
  on_node = true,
  summary = "Suspend an application's websockets, or the pids given, until `resume`.",
  description = "They stay suspended when this program has ended: clients give up after 30 to 60 seconds. For an upgrade,\n"
    .. "use `upgrade`, which always resumes them. Never suspend a supervisor.",
  examples = { "edeliver-relup myapp@web1 suspend --target channels", "edeliver-relup myapp@web1 suspend '<0.512.0>'" },
}

function suspend.add_to_parser(to)
  bulk_command.add_to_parser(to, "`sockets` and `ps` show them")
  site_options.add(to)
  to:option("--target", "The websocket processes, or the channels behind them."):choices { "transports", "channels", "auto" }
end

local function targets(node, args)
  local site, message, code = site_options.find(node, args)
  if not site then return nil, message, code end
  return site:targets(args.target)
end

--- Runs the command.
-- @return exit code
function suspend.command(args)
  return bulk_command.run(args, {
    verb = "suspended",
    find = targets,
    question = function(node, pids)
      return ("Suspends %s on %s until you resume %s."):format(count.of(#pids, "process"), node.name,
        count.verb(#pids, "it", "them"))
    end,
    request = function(node, pids, timeout) return node:bulk_suspend(pids, timeout) end,
  })
end

return suspend
