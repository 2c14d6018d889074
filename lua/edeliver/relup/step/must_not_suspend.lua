--- Whom a run must not suspend, found out before anybody is.
--
-- Supervisors: whoever asks them for their children then waits forever. Processes of kernel and sasl, and our own: the node
-- or the run would stand still. And, where a release will be installed, processes that their parent types `supervisor`: the
-- release handler asks those for children past the point of no return, and the node restarts. Knows no web server.
--
-- @module edeliver.relup.step.must_not_suspend

local shape = require "edeliver.relup.node.shape"

local must_not_suspend = {}

local TIMEOUT = 30000 -- ms

local REASONS = {
  guard = "it is the guard itself",
  system = "it belongs to kernel or sasl, without which the node stands still",
  supervisor = "it is a supervisor: whoever asks it for its children would wait forever",
  typed = "its parent types it supervisor: the release handler would ask it for children past the point of no return, and the "
    .. "node would restart",
}

local function has_reason(value) return shape.atom(value) and REASONS[value.name] ~= nil end
local FOUND = shape.list(shape.tuple(has_reason, shape.integer, shape.list(shape.pid)))

--- Whether all these processes may be suspended.
-- @param node
-- @param pids a pid set
-- @tparam boolean installs whether a release will be installed meanwhile
-- @return[1] true
-- @return[2] nil, message, code: "not_suspendable" with the first of them and why
function must_not_suspend.check(node, pids, installs)
  if #pids == 0 then return true end
  local found, message, code = shape.expect(node, "whom nobody may suspend", FOUND,
    node:run("must_not_suspend", { Pids = pids, Installs = installs and true or false }, TIMEOUT))
  if not found then return nil, "whether these processes may be suspended is not known: " .. message, code end
  if #found == 0 then return true end
  local kind, count, examples = found[1][1].name, found[1][2], found[1][3]
  return nil, ("%d of %d processes must not be suspended, as %s: %s. Nobody was suspended"):format(
    count, #pids, tostring(examples[1]), REASONS[kind]), "not_suspendable"
end

return must_not_suspend
