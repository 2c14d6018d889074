--- The program `edeliver-relup`: parses the command line, runs one command, gives an exit code and never exits itself.
--
-- A command is a module with `summary`, `add_to_parser(parser)` and `command(args)`, which returns an exit code.
--
-- @module edeliver.relup.cli

local core = require "edeliver.relup.core"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local parser = require "edeliver.relup.cli.parser"

local cli = {}

local function refuse_usage(arguments, stopped)
  io.stderr:write("edeliver-relup: ", output.escape(stopped.message), "\n", stopped.usage, "\n")
  for _, word in ipairs(arguments) do
    if word == "--json" or word == "--json-lines" then
      local out = output.new { json = true, lines = word == "--json-lines" }
      out.failure = { message = output.escape(stopped.message), code = "usage" }
      out:close(exit.USAGE)
      break
    end
  end
  return exit.USAGE
end

local function explain_crash(problem)
  local text = tostring(problem)
  if text:find("interrupted", 1, true) then return { message = "interrupted", code = "interrupted" } end
  return { message = debug.traceback("this is a fault of edeliver-relup itself: " .. text, 2), code = "lua" }
end

-- The environment variable that, when it is set, lets this program leave core dumps, and a debugger look into it.
local CORE_DUMPS = "EDELIVER_RELUP_CORE_DUMPS"

--- Runs the program. Cookies and keys that it holds are in no core dump: it leaves none. Where it has run a sequence, signals are
-- held back from then on, so whoever called this ends the program.
-- @tparam table arguments of the command line
-- @treturn integer the exit code
function cli.main(arguments)
  if not os.getenv(CORE_DUMPS) then core.no_core_dumps() end
  local args, stopped = parser.parse(arguments)
  if not args then
    if not stopped.help then return refuse_usage(arguments, stopped) end
    print(stopped.help)
    return exit.OK
  end
  args.output = output.new {
    command = args.command, node = args.node, json = args.json, lines = args.json_lines, color = not args.no_color,
    verbose = args.verbose,
  }
  local ran, code = xpcall(parser.command(args.command).command, explain_crash, args)
  if not ran then
    args.output:fail(code.message, code.code)
    code = exit.FAILED
  end
  local closed, problem = xpcall(args.output.close, explain_crash, args.output, code)
  if not closed then
    -- A document without the result, which cannot be written; what the command came to may be worse than that.
    args.output:give(nil)
    args.output:fail(problem.message, problem.code)
    code = math.max(code, exit.FAILED)
    args.output:close(code)
  end
  if args.output.stdout_failed then
    io.stderr:write("edeliver-relup: standard output cannot be written, as on a full disk: what was said is above\n")
    if code == exit.OK then code = exit.FAILED end
  end
  return code
end

return cli
