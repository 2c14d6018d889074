--- `repl`: Lua with the node at hand.
--
-- @module edeliver.relup.cli.commands.repl

local exit = require "edeliver.relup.cli.exit"
local repl = require "edeliver.relup.repl"
local session = require "edeliver.relup.cli.session"
local terminal = require "term"

local command = {
  on_node = true,
  summary = "A Lua prompt with the node at hand, and Erlang behind a colon.",
  description = "help() shows what there is; Tab completes names, also those of the node; Ctrl-D ends it.\n"
    .. "Lines may be piped in: no prompt is printed then, and the exit code is 2 where one of them failed.",
  examples = { "edeliver-relup myapp@web1 repl" },
}

--- Runs the command.
-- @return exit code
function command.command(args)
  local node, options = session.connect(args)
  if not node then return options end
  if terminal.isatty(io.stdin) then
    args.output:line(("%s. help() shows what there is, Ctrl-D ends."):format(tostring(node)))
  end
  -- Another node has a port and an address of its own.
  options.port, options.address = nil, nil
  return repl.run(node, options) and exit.OK or exit.FAILED
end

return command
