--- The environment of all applications, kept on the node while a release is installed, and put back where that failed.
--
-- release_handler changes it before anything else, and leaves it changed when an install fails. What is kept stays on the node:
-- values may be secrets, and may be funs. The node itself decides whether there is anything to put back, by the release that it
-- runs, so that one who asks may come late, or twice. Knows no relup.
--
-- @module edeliver.relup.step.environment

local term = require "edeliver.relup.term"

local environment = {}

local KEY = "environment"
local KEEPER = term.atom "edeliver_relup_environment"
local PUT_BACK = { "gen_server", "call", { KEEPER, term.atom "put_back", 4000 } }
local SETTLE_TIMEOUT = 10000 -- ms

--- Keeps it, until `settle`; the guard puts it back where we are gone by then, and the process that keeps it where both are.
-- @param node
-- @param ctx
-- @string before the version that runs
-- @return[1] true
-- @return[2] nil, message, code
function environment.keep(node, ctx, before)
  local kept, message, code = ctx:apply(KEY, { {
    call = node:expression("keep_environment", {
      Watched = ctx.guard and ctx.guard.pid or node:self(), Before = term.charlist(before),
    }),
    undo = PUT_BACK,
  } })
  if kept then return true end
  return nil, "the environment of the applications could not be kept: " .. message, code
end

--- Puts it back where the node still runs the release that it ran before; keeps it no longer.
-- @param node
-- @param ctx
-- @param installed whether the install has gone well; then nobody waits for the end of it
-- @return[1] true
-- @return[2] nil, message, code
function environment.settle(node, ctx, installed)
  -- The undo that is remembered does the same, and does not wait for the end. It finds nobody who keeps anything any more.
  if not installed then node:call("gen_server", "call", { KEEPER, term.atom "settle", term.atom "infinity" }, SETTLE_TIMEOUT) end
  return ctx:undo(KEY)
end

return environment
