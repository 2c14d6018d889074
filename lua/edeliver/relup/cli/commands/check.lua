--- `check`: a dry run: everything that an upgrade would find out, and whom it would suspend. Nothing is touched.
--
-- @module edeliver.relup.cli.commands.check

local relup = require "edeliver.relup"
local upgrading = require "edeliver.relup.cli.upgrading"

local check = {
  on_node = true,
  summary = "A dry run: find out whether an upgrade would be refused, and whom it would suspend.",
  description = "Suspends, installs and unpacks nothing: the release has to be unpacked on the node.",
  examples = { "edeliver-relup myapp@web1 check 1.4.6 && edeliver-relup myapp@web1 upgrade 1.4.6" },
}

function check.add_to_parser(parser) upgrading.add_options(parser) end

--- Runs the command.
-- @return exit code
function check.command(args)
  return upgrading.command(args, nil, function() return upgrading.steps(relup.install()) end)
end

return check
