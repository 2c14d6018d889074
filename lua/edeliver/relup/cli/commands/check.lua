--- `check`: a dry run: everything that an upgrade would find out, and what it would suspend. Nothing is touched.
--
-- @module edeliver.relup.cli.commands.check

local sequence_runner = require "edeliver.relup.cli.sequence_runner"

local check = {
  on_node = true,
  summary = "A dry run: find out whether an upgrade would be refused, and what it would suspend.",
  description = "Suspends, installs and unpacks nothing. A release that is not unpacked yet is read out of its tarball;\n"
    .. "what only release_handler can check is checked when it is unpacked, by `upgrade` before anything is suspended.",
  examples = { "edeliver-relup myapp@web1 check 1.4.6 && edeliver-relup myapp@web1 upgrade 1.4.6" },
}

function check.add_to_parser(parser)
  sequence_runner.add_options(parser)
  sequence_runner.add_install_options(parser)
end

--- Runs the command.
-- @return exit code
function check.command(args)
  return sequence_runner.command(args)
end

return check
