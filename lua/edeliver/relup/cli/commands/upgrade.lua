--- `upgrade`: the whole way: check, suspend, install, resume, report.
--
-- @module edeliver.relup.cli.commands.upgrade

local permanence = require "edeliver.relup.cli.permanence"
local release_handler = require "edeliver.relup.otp.release_handler"
local sequence_runner = require "edeliver.relup.cli.sequence_runner"

local upgrade = {
  on_node = true,
  summary = "Upgrade to a release, with all websockets kept.",
  description = "The release's tarball is on the node already (see `upload`), or the release is unpacked there. What can be\n"
    .. "known to fail is refused before anything is suspended, with exit code 1. With --permanent, a release that runs\n"
    .. "already is made permanent. Ctrl-C stops safely: everything that was suspended is resumed.",
  examples = {
    "edeliver-relup myapp@web1 upgrade 1.4.6",
    "edeliver-relup myapp@web1 upgrade 1.4.6 --permanent --yes --report upgrade.html",
  },
}

upgrade.add_to_parser = sequence_runner.add_options_of_upgrades

--- Runs the command.
-- @return exit code
function upgrade.command(args)
  return sequence_runner.command(args, "Upgrades", function(node)
    if args.permanent and release_handler.runs(node, args.version) then return permanence.run(args, node, args.version) end
    return true
  end)
end

return upgrade
