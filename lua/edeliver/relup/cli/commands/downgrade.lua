--- `downgrade`: back to a release that the node still has, by the same way as up.
--
-- @module edeliver.relup.cli.commands.downgrade

local release_handler = require "edeliver.relup.otp.release_handler"
local sequence_runner = require "edeliver.relup.cli.sequence_runner"

local downgrade = {
  on_node = true,
  summary = "Go back to a release that the node still has, with all websockets kept.",
  description = "The relup of the running release leads down to it.",
  examples = { "edeliver-relup myapp@web1 downgrade 1.4.5" },
}

downgrade.add_to_parser = sequence_runner.add_options_of_upgrades

--- Runs the command.
-- @return exit code
function downgrade.command(args)
  return sequence_runner.command(args, "Downgrades", function(node)
    local releases, message, code = release_handler.which_releases(node)
    if not releases then return nil, message, code end
    for _, release in ipairs(releases) do
      if release.version == args.version then return true end
    end
    return nil, ("%s has no release %s to go back to: see `releases`"):format(node.name, args.version), "no_such_release"
  end)
end

return downgrade
