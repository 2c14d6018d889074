--- Which processes a run must not suspend, found out before any is.
--
-- Supervisors: a process that asks one for its children then waits forever. Processes of kernel and sasl, and our own: the node
-- or the run would stop. And, where a release will be installed, processes that their parent types `supervisor`: the release
-- handler asks those for children past the point of no return, and the node restarts. Knows no web server.
--
-- @module edeliver.relup.step.must_not_suspend

local count = require "edeliver.relup.base.count"
local shape = require "edeliver.relup.node.shape"

local must_not_suspend = {}

local TIMEOUT = 30000 -- ms

local REASONS = {
  guard = "it is the guard itself",
  system = "it belongs to kernel or sasl, without which the node stops",
  supervisor = "it is a supervisor: a process that asks it for its children would wait forever",
  typed = "its parent types it supervisor: the release handler would ask it for its children past the point of no return, and "
    .. "the node would restart",
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
  local found, message, code = shape.expect(node, "which processes must not be suspended", FOUND,
    node:run("must_not_suspend", { Pids = pids, Installs = installs and true or false }, TIMEOUT))
  if not found then return nil, "it is not known whether these processes may be suspended: " .. message, code end
  if #found == 0 then return true end
  local kind, number, examples = found[1][1].name, found[1][2], found[1][3]
  return nil, ("%d of %s must not be suspended, for example %s: %s. No process was suspended"):format(
    number, count.of(#pids, "process"), tostring(examples[1]), REASONS[kind]), "not_suspendable"
end

return must_not_suspend
