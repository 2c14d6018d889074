--- `check`: a dry run: everything that an upgrade would find out, and whom it would suspend. Nothing is touched.
--
-- @module edeliver.relup.cli.commands.check

local relup = require "edeliver.relup"
local sequence_runner = require "edeliver.relup.cli.sequence_runner"

local check = {
  on_node = true,
  summary = "A dry run: find out whether an upgrade would be refused, and what it would suspend.",
  description = "Suspends, installs and unpacks nothing: the release has to be unpacked on the node.",
  examples = { "edeliver-relup myapp@web1 check 1.4.6 && edeliver-relup myapp@web1 upgrade 1.4.6" },
}

function check.add_to_parser(parser) sequence_runner.add_options(parser) end

--- Runs the command.
-- @return exit code
function check.command(args)
  return sequence_runner.command(args, nil, function() return sequence_runner.steps(relup.install()) end)
end

return check
