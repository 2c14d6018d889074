--- `make-permanent`: the node starts with the release that runs.
--
-- @module edeliver.relup.cli.commands.make_permanent

local permanence = require "edeliver.relup.cli.permanence"
local session = require "edeliver.relup.cli.session"

local make_permanent = {
  on_node = true,
  summary = "Make the release that runs the one that the node starts with.",
  description = "Looks first at what the next start needs, and names the processes that run old code: what is left to be\n"
    .. "purged is purged then, and a process that runs it may be killed.",
  examples = { "edeliver-relup myapp@web1 make-permanent", "edeliver-relup myapp@web1 make-permanent 1.4.6 --dry-run" },
}

function make_permanent.add_to_parser(parser)
  parser:argument("version", "The version (default: the one that runs)."):args "?"
  parser:flag("--dry-run", "Only say what it would cost.")
end

--- Runs the command.
-- @return exit code
function make_permanent.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  return permanence.run(args, node, args.version)
end

return make_permanent
