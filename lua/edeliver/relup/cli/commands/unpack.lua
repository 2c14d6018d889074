--- `unpack`: has the node unpack a release's tarball, ahead of the upgrade.
--
-- @module edeliver.relup.cli.commands.unpack

local context = require "edeliver.relup.step.context"
local exit = require "edeliver.relup.cli.exit"
local install = require "edeliver.relup.step.install"
local session = require "edeliver.relup.cli.session"

local unpack = {
  on_node = true,
  summary = "Unpack a release's tarball on the node.",
  description = "Looks first at all that `check` looks at. Installs and suspends nothing; `check` then asks\n"
    .. "release_handler, too.",
  examples = { "edeliver-relup myapp@web1 unpack 1.4.6 && edeliver-relup myapp@web1 check 1.4.6" },
}

function unpack.add_to_parser(parser)
  parser:argument("version", "The version.")
  parser:flag("--forget-runtime-config", "Allow the loss of what config providers (runtime.exs) have set.")
  parser:flag("--restart-emulator", "Allow a relup that restarts the emulator: every connection is lost then.")
end

--- Runs the command.
-- @return exit code
function unpack.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  if not session.confirm(args, ("Unpacks %s on %s."):format(args.version, node.name)) then return exit.REFUSED end
  local ctx = context.new {
    node = node, config = { version = args.version },
    logger = function(level, text) out:line(text, level == "warning" and "yellow" or nil) end,
  }
  local from, message, code = install.unpack(node, args.version, ctx, {
    forget_runtime_config = args.forget_runtime_config, restart_emulator = args.restart_emulator,
  })
  if not from then
    out:fail(message, code)
    return exit.of(code)
  end
  out:give { version = args.version, from = from }
  out:line(("%s is unpacked on %s, which runs %s."):format(args.version, node.name, from), "green")
  return exit.OK
end

return unpack
