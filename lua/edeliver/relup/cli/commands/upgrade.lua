--- `upgrade`: the whole way: check, suspend, install, resume, report.
--
-- @module edeliver.relup.cli.commands.upgrade

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local relup = require "edeliver.relup"
local session = require "edeliver.relup.cli.session"

local upgrade = {
  on_node = true,
  summary = "Upgrade to a release, with all websockets kept.",
  description = "The release's tarball lies on the node already (see `upload`), or the release is unpacked there.",
  examples = { "edeliver-relup myapp@web1 upgrade 1.4.6", "edeliver-relup myapp@web1 upgrade 1.4.6 --permanent --yes" },
}

function upgrade.add_to_parser(parser)
  parser:argument("version", "The version to install.")
  parser:option("--app", "The application (default: the release's name)."):argname "NAME"
  parser:flag("--permanent", "Make it the release that the node starts with.")
  parser:option("--target", "Whom to suspend: the websocket processes, or the channels behind them.")
    :choices { "transports", "channels" }
  parser:option("--listener", "The listener (a ranch ref), where there is no endpoint."):argname "REF"
  parser:option("--port", "The port of the listener, where there is no endpoint."):argname "PORT"
    :convert(require("edeliver.relup.cli.parser").port)
end

--- The steps of an upgrade.
function upgrade.steps(args)
  return {
    "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
    "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
    relup.install { permanent = args.permanent },
    "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
  }
end

-- A step that failed before anything was suspended refused the upgrade; later it failed it.
local function exit_code(report)
  if report.ok then return exit.OK end
  if #report.still_suspended > 0 or #report.still_undone > 0 then return exit.SUSPENDED end
  for _, step in ipairs(report.steps) do
    if step.status == "failed" then
      return (step.name:find "%(prepare%)$" or step.name:find "^check_") and exit.REFUSED or exit.FAILED
    end
  end
  return exit.FAILED
end

--- A report as data.
function upgrade.as_json(report)
  local given = {
    name = report.name, version = report.version, ok = report.ok, code = report.code, suspended = report.suspended,
    stood_still_ms = report.stood_still_ms, undone = output.array(report.undone), still_suspended = output.array {},
    still_undone = #report.still_undone, steps = output.array {},
  }
  for i, pid in ipairs(report.still_suspended) do given.still_suspended[i] = tostring(pid) end
  for i, step in ipairs(report.steps) do
    local result = step.result
    given.steps[i] = {
      name = step.name, status = step.status, ms = step.ms, message = step.message, code = step.code,
      result = (type(result) == "string" or type(result) == "number") and result or nil,
    }
  end
  return given
end

--- Runs the command.
-- @return exit code
function upgrade.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local name, message, code = session.application(node, args)
  if not name then
    out:fail(message, code)
    return exit.REFUSED
  end
  if not session.confirm(args, ("Upgrades %s on %s to %s."):format(name, node.name, args.version)) then return exit.REFUSED end
  local report, why, unfinished = relup.sequence(upgrade.steps(args)):run(node, {
    name = name, version = args.version, target = args.target, listener = args.listener, port = args.port,
    log = function(level, text) out:line(text, level == "error" and "red" or level == "warning" and "yellow" or nil) end,
  })
  report = report or unfinished
  out:give(upgrade.as_json(report))
  out:line(tostring(report))
  if not report.ok then out:fail(why, report.code) end
  return exit_code(report)
end

return upgrade
