--- How a run ends: waits for a call in flight, settles what is owed, dismisses the guard, closes the journal. Nothing may raise
-- here, and signals wait, but for what a step brought along.
--
-- Who undoes is for the lease to say (`undo.lease`): we, or the guard on the node. What is said afterwards is what the node shows
-- then. Knows the run's parts, and no step by name.
--
-- @module edeliver.relup.run.finish

local attempt = require "edeliver.relup.base.attempt"
local core = require "edeliver.relup.core"
local count = require "edeliver.relup.base.count"

local finish = {}

local CLAIMS, CLAIM_EVERY = 10, 500 -- ms: while nobody undoes
local GUARD_LEAVES = 3000 -- ms: for the guard to have undone everything, where it is left to it

-- The call in flight ---------------------------------------------------------------------------------------------------

-- Waits for its end; gives what it came to, as `node:call` would; "timeout" where it still runs.
local function outlast(self, call, signal)
  local ctx, name = self.ctx, self.node.name
  ctx:log("warning", ("Waiting for %s to end on %s, since resuming in the middle of it could restart the node. %s leaves it to "
    .. "the guard there, which undoes everything then"):format(call.name, name, signal and "Another Ctrl-C" or "Ctrl-C"))
  local asked
  local answer = table.pack(call:outlast(core.now() + self.guard.patience, function(guard_is_gone)
    local now = core.take_signal()
    if guard_is_gone and now then
      ctx:log("warning", ("%s: the guard on %s is gone, so nobody else would undo this. Still waiting"):format(now, name))
    end
    asked = asked or not guard_is_gone and now
    return asked ~= nil and not guard_is_gone
  end))
  if answer[3] == "timeout" and asked then
    self.lease:hand_over(("%s. The guard on %s undoes everything when %s has ended"):format(asked, name, call.name))
  elseif answer[3] == "timeout" then
    ctx:log("error", ("Gave up waiting after %.0f s: %s is still running on %s"):format(self.guard.patience / 1000, call.name,
      name))
  end
  return answer
end

-- Nothing is undone while one is in flight; what it came to completes the report.
local function wait_for_call(self, signal)
  local call = self.ctx.call
  if not call or call:ended() then return true end
  local answer = outlast(self, call, signal)
  call:close() -- as far as we are concerned
  if not call.tell then return true end
  local words = call.title .. " is still running"
  if answer[3] ~= "timeout" then
    local done, message = call.tell(table.unpack(answer, 1, answer.n))
    self.report.completed = done and call.title
    words = ("%s %s: %s"):format(call.title, done and "ran to its end" or "failed", done or message)
  end
  self.report.message = ("%s; %s"):format(self.report.message or "the run failed", words)
  self.ctx:log("warning", words)
  return true
end

-- Undoing --------------------------------------------------------------------------------------------------------------

-- A node that was restarted has lost its connections: that is said before all else, unless a restart was asked for.
local function look_for_restart(self)
  local lease, result = self.lease, self.report
  if not lease then return true end
  if not self.node:is_open() and not lease:claim() then return true end
  if not lease:look_for_restart() or self.ctx.new_emulator then return true end
  result.restarted, result.code = true, "restarted"
  return true
end

-- The steps' own undo, last first: only of a run that failed, and of those that were reached. A signal ends one that does not
-- come back, and that one alone.
local function undo_steps(self)
  if self.succeeded then return true end
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

-- Whether it is we who undo. Where nobody does, as on a node that has no room for another guard, we try on.
local function is_ours(self)
  local lease = self.lease
  if not lease then return true end
  local ours
  for i = 1, CLAIMS do
    ours = lease:claim()
    if ours or lease.state ~= "lost" then break end
    if i < CLAIMS then self.node:sleep(CLAIM_EVERY) end
  end
  return ours
end

-- Says who undoes instead of us what is left, and looks whether that is done. The guard needs no process for it; on a node
-- without room for one it is only told to. `ours`: whether we have tried before.
local function leave(self, ours)
  local lease, result, name = self.lease, self.report, self.node.name
  if ours and not self.node:is_open() then lease:claim() end
  if lease.state == "lost" then
    result.message = ("%s; %s"):format(result.message or "the run failed", lease.why)
    return
  end
  local by_hand = lease.handed_over -- then it does not wait
  local why = lease.why or ("the guard on %s undoes everything that is left"):format(name)
  local done = lease.state == "held" and self.guard:undo()
  if not done and (lease.state == "held" or lease.state == "late") then lease:hand_over(why) end
  if lease.other then
    self.ctx.ledger:forget()
    self.guard = nil
  elseif done or not by_hand and self.node:is_open() and self.guard:wait_until_gone(GUARD_LEAVES) then
    self.ctx.ledger:forget()
    table.insert(result.undone, ("by the guard on %s: %s"):format(name, ours and "what was left" or "everything"))
    self.guard = nil
    return
  end
  table.insert(result.undone, (ours and "no more from here: " or "nothing from here: ") .. why)
end

-- The pid set of those that are suspended now, or may be.
local function suspended_among(node, pids)
  local suspended, hibernating = node:suspended(pids)
  return suspended and suspended:plus(hibernating) or pids
end

-- Where our guard is gone it may have undone everything before.
local function settled_before(self)
  local owed = self.ctx.ledger:suspended()
  if not self.lease or not self.lease.succeeded or #owed == 0 then return 0 end
  return #owed - #suspended_among(self.node, owed)
end

local function settle_ledger(self)
  local ledger, result = self.ctx.ledger, self.report
  local before = settled_before(self)
  local owed_pids, owed_undos = #ledger:suspended(), #ledger.undos
  local settled, message = ledger:settle(function()
    local signal = core.take_signal()
    if not signal then return end
    self.ctx:log("warning", ("%s: still resuming; suspended on %s are %s"):format(
      signal, self.node.name, tostring(ledger:suspended())))
  end)
  local resumed, undone = owed_pids - #ledger:suspended() - before, owed_undos - #ledger.undos
  if before > 0 then
    table.insert(result.undone, ("%s running again already"):format(count.of(before, "process was", "processes were")))
  end
  if resumed > 0 then table.insert(result.undone, count.of(resumed, "process") .. " resumed") end
  if undone > 0 then table.insert(result.undone, count.of(undone, "call") .. " undone") end
  if not settled then result.message = result.message or message end
end

local function settle(self)
  local ledger = self.ctx.ledger
  if self.config.dry_run then
    self.report.would_suspend = ledger:suspended()
    ledger:forget()
  elseif not ledger:is_settled() then
    local ours = is_ours(self)
    if ours then settle_ledger(self) end
    if self.lease and not ledger:is_settled() then leave(self, ours) end
  end
  return true
end

-- What each step does last of all, whatever became of the run; it is told whether the guard still keeps others out for us.
local function finally(self)
  for i = #self.steps, 1, -1 do
    local step = self.steps[i]
    if step.finally and not self.config.dry_run then
      local ours = not self.lease or is_ours(self) == true
      local done, message = attempt(core.let_signals_through, attempt, step.finally, self.node, self.ctx, ours)
      if not done and message then self.ctx:log("warning", ("%s: %s"):format(step.name, message)) end
    end
  end
  return true
end

-- What is said -------------------------------------------------------------------------------------------------------------

local function list_of(pids)
  local list = {}
  for i, pid in pids:iter() do list[i] = pid end
  return list
end

-- From the first suspend to the last resume, of what steps and what swaps have suspended: a swap lies within what the steps do.
local function longest(by_steps, swaps)
  local by_swaps
  for _, swap in ipairs(swaps or {}) do
    if swap.processes and swap.processes > 0 then by_swaps = (by_swaps or 0) + (swap.stand_still or 0) end
  end
  if not by_steps or not by_swaps then return by_steps or by_swaps end
  return math.max(by_steps, by_swaps)
end

-- What is still owed, and what it has cost. Those that cannot be looked at again are named all the same.
local function account(self)
  local ledger, result = self.ctx.ledger, self.report
  if not ledger:is_settled() then
    result.still_undone, result.still_suspended = ledger.undos, list_of(ledger:suspended())
    local seen = self.node:is_open() and attempt(suspended_among, self.node, ledger:suspended())
    if seen then result.still_suspended = list_of(seen) end
  end
  result.after_install, result.swap = self.ctx.after_install, self.ctx.swapped
  result.from, result.returns_to, result.deployed = self.ctx.came_from, self.ctx.returns_to, self.ctx.deployed
  result.suspended, result.stood_still_ms = ledger.most, longest(ledger.still.total, self.ctx.swapped)
  if ledger.asked > ledger.most and not self.config.dry_run then result.perhaps_suspended = ledger.asked end
  result.stood_still, result.lost = ledger.still:by_pid(), ledger.lost
  return true
end

-- Lets the guard go. Over a connection that was lost while nothing was owed, it first hears that its operator is back.
local function dismiss(self)
  local the_guard, lease = self.guard, self.lease
  if not the_guard.pid or lease and lease.state ~= "held" then return end
  if not self.node:is_open() and not (lease and lease:claim()) then return end
  if self.ctx.ledger:is_settled() then return the_guard:leave() end
  return the_guard:undo()
end

-- To the guard, the journal and the operator, in this order: nobody waits for the last.
local function conclude(self, signal)
  local result = self.report
  result.ok = self.succeeded == true and not result.restarted and #result.still_suspended == 0 and #result.still_undone == 0
  if not result.ok then result.code = result.code or (signal and "interrupted") or "suspended" end
  if self.guard then attempt(dismiss, self) end
  if self.journal then
    local written, message = attempt(self.journal.close, self.journal, {
      ok = result.ok, message = result.message, still_suspended = #result.still_suspended, still_undone = #result.still_undone,
      restarted = result.restarted or nil,
    })
    if not written then self.ctx:log("warning", message) end
  end
  for _, undone in ipairs(result.undone) do self.ctx:log("info", "undone: " .. undone) end
end

--- The one way out of a run. Signals are held back until it is done.
-- @param self the run
-- @string[opt] signal the one that has arrived
function finish.finish(self, signal)
  local function do_part(part)
    local done, message = attempt(part, self, signal)
    if not done then self.report.message = ("%s; then, while undoing: %s"):format(self.report.message or "", message) end
  end
  for _, part in ipairs { wait_for_call, look_for_restart, undo_steps, settle, finally, account } do do_part(part) end
  attempt(conclude, self, signal)
  self.node:fence(nil)
  if self.catching then core.release_signals() end
end

return finish
