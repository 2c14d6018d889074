--- The exit codes of the program, which scripts may build on.
--
-- @module edeliver.relup.cli.exit

return {
  --- Done as asked.
  OK = 0,
  --- A check, or the operator at the question, refused it: nothing was changed.
  REFUSED = 1,
  --- It failed, and what was done has been undone. Also a node that cannot be reached.
  FAILED = 2,
  --- It failed, and something is, or may be, still suspended: the message says what.
  SUSPENDED = 3,
  --- It failed, and the node restarted: all connections that it had are gone.
  RESTARTED = 4,
  --- The command line is wrong.
  USAGE = 64,
}
