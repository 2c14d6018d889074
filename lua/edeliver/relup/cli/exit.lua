--- The exit codes of the program, which scripts may build on.
--
-- @module edeliver.relup.cli.exit

local exit = {
  --- Done as asked.
  OK = 0,
  --- A check, or the operator at the question, refused it: nothing was changed.
  REFUSED = 1,
  --- It failed, and what was done has been undone. Also a node that cannot be reached, and a file that cannot be read.
  FAILED = 2,
  --- It failed, and something is, or may be, still suspended: the message says what.
  SUSPENDED = 3,
  --- It failed, and the node restarted: all connections that it had are gone.
  RESTARTED = 4,
  --- The command line is wrong.
  USAGE = 64,
}

-- What is no refusal: the node cannot be reached or asked, a file cannot be read, something was cut off.
local FAULTS = {}
for code in ([[
  alive auth closed cookie_file no_epmd nodedown not_allowed not_connected protocol ssh timeout tls unknown_host
  error exit fenced interrupted lua nomem system_limit throw
  ambiguous duplicate limit mismatch missing not_a_release not_plain syntax system
]]):gmatch "%S+" do FAULTS[code] = true end

--- The exit code for what went wrong before anything was changed, the same in all commands.
-- @tparam ?string code that came with the message
-- @treturn integer
function exit.of(code)
  if code == "badarg" then return exit.USAGE end
  return FAULTS[code] and exit.FAILED or exit.REFUSED
end

return exit
