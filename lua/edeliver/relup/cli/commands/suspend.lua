--- `suspend`: suspends an application's websockets, or the pids given, until `resume`.
--
-- @module edeliver.relup.cli.commands.suspend

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local resume = require "edeliver.relup.cli.commands.resume"
local session = require "edeliver.relup.cli.session"
local site_options = require "edeliver.relup.cli.site_options"
local web = require "edeliver.relup.web"

local suspend = {
  on_node = true,
  summary = "Suspend an application's websockets, or the pids given, until `resume`.",
  description = "They stay suspended when this program has ended: clients give up after 30 to 60 seconds. For an upgrade,\n"
    .. "use `upgrade`, which always resumes them. Never suspend a supervisor.",
  examples = { "edeliver-relup myapp@web1 suspend --target channels", "edeliver-relup myapp@web1 suspend '<0.512.0>'" },
}

function suspend.add_to_parser(to)
  to:argument("pids", "Pids, as `sockets` and `ps` show them."):args "*"
  site_options.add(to)
  to:option("--target", "The websocket processes, or the channels behind them."):choices { "transports", "channels" }
  to:option("--wait", "How long to wait for their answers, in ms (default: 5000)."):argname "MS"
    :convert(require("edeliver.relup.cli.parser").positive)
end

local function chosen(node, args)
  if #args.pids > 0 then
    local pids, message, code = session.pids(node, args.pids)
    return pids and node:pids(pids), message, code
  end
  local name, message, code = session.application(node, args)
  if not name then return nil, message, code end
  local site
  site, message, code = web.find(node, name, site_options.config(args, name))
  if not site then return nil, message, code end
  return site:targets(args.target)
end

--- Runs the command.
-- @return exit code
function suspend.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local pids, message, code = chosen(node, args)
  if not pids then
    args.output:fail(message, code)
    return code == "badarg" and exit.USAGE or code == "not_detected" and exit.REFUSED or exit.FAILED
  end
  local question = ("Suspends %s on %s until you resume %s."):format(count.of(#pids, "process"), node.name,
    count.verb(#pids, "it", "them"))
  if #pids > 0 and not session.confirm(args, question) then return exit.REFUSED end
  return resume.report(args, "suspended", pids, node:bulk_suspend(pids, args.wait or 5000))
end

return suspend
