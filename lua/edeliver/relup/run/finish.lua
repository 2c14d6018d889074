--- How a run ends: settles what is owed, lets the guard go, closes the journal. Nothing may raise here, and signals wait, but for
-- what a step brought along.
--
-- Nothing is undone while the node is still at what a step has begun; see `undo.call_in_flight`. The one place that decides who
-- undoes: we, or the guard on the node, where we were away for too long or cannot get at the node. Knows the run's parts, and no
-- step by name.
--
-- @module edeliver.relup.run.finish

local core = require "edeliver.relup.core"
local guard = require "edeliver.relup.undo.guard"
local attempt = require "edeliver.relup.base.attempt"
local call_in_flight = require "edeliver.relup.undo.call_in_flight"

local finish = {}

local TRIES = 3

-- The steps' own undo, last first: only of a run that failed, and of those that were reached. A signal ends one that does not
-- come back, and that one alone.
local function undo_steps(self)
  for i = self.reached, 1, -1 do
    local step = self.steps[i]
    if step.undo then
      local result, message = attempt(core.let_signals_through, attempt, step.undo, self.node, self.ctx)
      local failed = result == nil and message ~= nil
      table.insert(self.report.undone, step.name .. (failed and (" could not be undone: " .. message) or ""))
    end
  end
  return true
end

-- Who of those that never confirmed their resume really sits suspended now.
local function look_again(self, owed)
  if not self.node:is_open() then return owed end
  local sitting, sleeping = self.node:suspended(owed)
  if not sitting then return owed end
  return sitting:plus(sleeping)
end

-- Back to the guard; one that answers late, as on a node that is short of time, is asked again.
local function come_back(self)
  local back, code
  for _ = 1, TRIES do
    back, _, code = self.guard:come_back()
    if back or code ~= "timeout" then break end
  end
  return back, code
end

-- Why everything is left to a guard that does not take us back.
local function why_left(self, code)
  local name = self.node.name
  if code == "guard_lost" then return ("the guard on %s undoes everything by itself"):format(name) end
  if self.node:is_open() then
    return ("the guard on %s does not answer. It undoes everything when it gets to it"):format(name)
  end
  return ("%s cannot be reached. The guard there undoes everything %.1f s after it has lost us"):format(name,
    self.guard.grace / 1000)
end

-- Whether the guard undoes, or has undone, what we owe, so that we must not: another run may have begun meanwhile.
local function left_to_guard(self)
  if not self.guard or self.left then return self.left end
  local back, code = come_back(self)
  if back then return false end
  if code ~= "guard_gone" then
    self:leave_to_guard(why_left(self, code))
    return true
  end
  local other = guard.who(self.node)
  if not other then return false end
  self.ctx.ledger:forget()
  table.insert(self.report.undone, ("by the guard on the node: all of it. Another run goes on there, of %s: nothing was touched")
    :format(other.who))
  self.guard = nil
  return true
end

local function settle_ledger(self)
  local ledger, result = self.ctx.ledger, self.report
  local owed_pids, owed_undos = #ledger:suspended(), #ledger.undos
  -- Whoever asks once more to be let go is told what there is to wait for.
  local settled, message = ledger:settle(function()
    local signal = core.take_signal()
    if not signal then return end
    self.ctx:log("warning", ("%s: still resuming; suspended on %s are %s"):format(
      signal, self.node.name, tostring(ledger:suspended())))
  end)
  if owed_pids > #ledger:suspended() then
    table.insert(result.undone, ("%d processes resumed"):format(owed_pids - #ledger:suspended()))
  end
  if owed_undos > #ledger.undos then
    table.insert(result.undone, ("%d calls undone"):format(owed_undos - #ledger.undos))
  end
  if not settled then result.message = result.message or message end
end

local function settle(self)
  local ledger = self.ctx.ledger
  if self.config.dry_run then
    self.report.would_suspend = ledger:suspended()
    ledger:forget()
  elseif not ledger:is_settled() and not left_to_guard(self) then
    settle_ledger(self)
  end
  return true
end

local function list_of(pids)
  local list = {}
  for i, pid in pids:iter() do list[i] = pid end
  return list
end

-- What is still owed, and what it has cost. Whoever cannot be looked at again is named all the same.
local function account(self)
  local ledger, result = self.ctx.ledger, self.report
  if not ledger:is_settled() then
    result.still_undone, result.still_suspended = ledger.undos, list_of(ledger:suspended())
    local seen = attempt(look_again, self, ledger:suspended())
    if seen then result.still_suspended = list_of(seen) end
  end
  result.after_install = self.ctx.after_install
  result.suspended, result.stood_still_ms = ledger.most, ledger.stood_still
  result.stood_still, result.lost = ledger:stood_still_by_pid(), ledger.lost
  return true
end

-- Lets the guard go. What we could not undo, it tries once more; where it waits for an install first, we do not wait for that.
-- Over a connection that was lost while nothing was owed, it is told first that its operator is back.
local function dismiss(self)
  local the_guard = self.guard
  if not the_guard.pid then return end
  if not self.node:is_open() and not the_guard:come_back() then return end
  if self.ctx.ledger:is_settled() then return the_guard:leave() end
  if the_guard.performing then return the_guard:hand_over() end
  return the_guard:undo()
end

-- What is left to be said, to the guard, the journal and the operator, in this order: nobody waits for the last.
local function conclude(self, signal)
  local result = self.report
  result.ok = self.succeeded and #result.still_suspended == 0 and #result.still_undone == 0
  if not result.ok then result.code = result.code or (signal and "interrupted") or "suspended" end
  if self.guard and not self.left then attempt(dismiss, self) end
  if self.journal then
    local written, message = attempt(self.journal.close, self.journal, {
      ok = result.ok, message = result.message, still_suspended = #result.still_suspended, still_undone = #result.still_undone,
    })
    if not written then self.ctx:log("warning", message) end
  end
  for _, undone in ipairs(result.undone) do self.ctx:log("info", "undone: " .. undone) end
end

--- The one way out of a run, whatever ended it. Signals are held back until it is done.
-- @param self the run
-- @string[opt] signal the one that has arrived
function finish.finish(self, signal)
  local function do_part(part)
    local done, message = attempt(part, self)
    if not done then self.report.message = ("%s; then, while undoing: %s"):format(self.report.message or "", message) end
  end
  do_part(call_in_flight.outlast)
  if not self.succeeded then do_part(undo_steps) end
  do_part(settle)
  do_part(account)
  attempt(conclude, self, signal)
  if self.catching then core.release_signals() end
end

return finish
