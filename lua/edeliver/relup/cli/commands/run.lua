--- `run`: a Lua script, with `edeliver.relup` at hand: what `lua upgrade.lua` is, also where there is no other Lua.
--
-- @module edeliver.relup.cli.commands.run

local exit = require "edeliver.relup.cli.exit"

local run = {
  summary = "Run a Lua script of yours.",
  description = "The script can `require \"edeliver.relup\"`. The words behind its name are its own, in `arg`.\n"
    .. "The exit code is 0, 2 where the script fails, or what the script itself exits with.",
  examples = { "edeliver-relup run upgrade.lua myapp@web1 myapp 1.4.6" },
}

function run.add_to_parser(parser)
  parser:argument("script", "The Lua file."):argname "<script>"
  parser:argument("arguments", "Its arguments."):args "*":argname "<argument>"
end

--- Runs the command.
-- @return exit code
function run.command(args)
  local chunk, message = loadfile(args.script)
  if not chunk then
    args.output:fail(message, "syntax")
    return exit.FAILED
  end
  _G.arg = table.move(args.arguments, 1, #args.arguments, 1, { [0] = args.script })
  local ran, problem = xpcall(chunk, function(raised)
    local text = tostring(raised)
    if text:find("interrupted!", 1, true) then return "interrupted" end
    -- What is below the script is ours.
    return (debug.traceback(text, 2):gsub("(: in main chunk)\n.*$", "%1"))
  end, table.unpack(args.arguments))
  if ran then return exit.OK end
  args.output:fail(problem, "lua")
  return exit.FAILED
end

return run
