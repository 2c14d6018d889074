--- `check`: a dry run: everything that an upgrade would find out before it touches anything.
--
-- @module edeliver.relup.cli.commands.check

local relup = require "edeliver.relup"
local upgrading = require "edeliver.relup.cli.upgrading"

local check = {
  on_node = true,
  summary = "Find out whether an upgrade would be refused. Suspends and installs nothing.",
  description = "Unpacks the release's tarball on the node, where that has not been done: OTP checks unpacked releases only.",
  examples = { "edeliver-relup myapp@web1 check 1.4.6 && edeliver-relup myapp@web1 upgrade 1.4.6" },
}

function check.add_to_parser(parser) upgrading.add_options(parser) end

--- Runs the command.
-- @return exit code
function check.command(args)
  local install = relup.install()
  install.run = function(_, _, ctx) return ("%s could be installed; nothing was"):format(ctx.config.version) end
  return upgrading.command(args, nil, function()
    return { "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections", install }
  end)
end

return check
