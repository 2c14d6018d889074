--- `upgrade`: the whole way: check, suspend, install, resume, report.
--
-- @module edeliver.relup.cli.commands.upgrade

local relup = require "edeliver.relup"
local sequence_runner = require "edeliver.relup.cli.sequence_runner"

local upgrade = {
  on_node = true,
  summary = "Upgrade to a release, with all websockets kept.",
  description = "The release's tarball lies on the node already (see `upload`), or the release is unpacked there.\n"
    .. "Ctrl-C stops safely: everything that was suspended is resumed.",
  examples = {
    "edeliver-relup myapp@web1 upgrade 1.4.6",
    "edeliver-relup myapp@web1 upgrade 1.4.6 --permanent --yes --report upgrade.html",
  },
}

function upgrade.add_to_parser(parser)
  sequence_runner.add_options(parser)
  parser:flag("--permanent", "Make it the release that the node starts with.")
  parser:flag("--in-relup", "Let OTP run the steps in the middle of its own script, for relups that suspend processes.")
end

--- Runs the command.
-- @return exit code
function upgrade.command(args)
  return sequence_runner.command(args, "Upgrades", function()
    return sequence_runner.steps(relup.install { permanent = args.permanent })
  end)
end

return upgrade
