--- Who undoes what a run owes, now: we, the guard on the node, or nobody.
--
-- `claim` is the one way to get at it again, and the one place where that is tried again; `hand_over` is the one way to leave it
-- to the guard. Knows the guard's answers, and neither steps nor what is owed: `owed` gives that to a guard that takes the place
-- of one that is gone.
--
-- @classmod edeliver.relup.undo.lease

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local lease = {}
lease.__index = lease

local TRIES = 3

--- A lease of a guard that has begun.
-- @tparam table fields `node`, `guard`, and optionally `owed()` (a pid set and a list of a ledger's entries), `on_restart()`,
-- called once where the node has been restarted since, and `in_flight()`: whether a call that the guard made may not have ended,
-- so that nobody may undo anything
-- @return with `state`: "held" (we undo), "late" (the guard does not answer), "expired" (the guard undoes, or has undone,
-- everything), "lost" (there is no guard, and no other can be started: nobody does); `why`, in words, where it is not "held";
-- `succeeded`: another guard has taken the place of the first; `restarted`; `handed_over`; `other`: another upgrade is
-- active on the node
function lease.new(fields)
  local self = setmetatable(fields, lease)
  self.state = "held"
  self.creation = self:creation_now()
  return self
end

--- Which life of the node this is; nil where it does not say.
function lease:creation_now()
  return (shape.expect(self.node, "erlang:system_info", shape.integer,
    self.node:call("erlang", "system_info", { term.atom "creation" })))
end

-- Each answer of a guard, the state that it leads to and what to say.
local function held(self)
  self.state, self.why = "held", nil
  return true
end

local function other_than(self, state, why, code)
  self.state, self.why = state, why
  return nil, why, code
end

local function expired(self, why) return other_than(self, "expired", why, "guard_lost") end

local function late(self, message, code)
  local why
  if self.node:is_open() then
    why = ("the guard on %s does not answer. It undoes everything when it gets to it"):format(self.node.name)
  else
    why = ("%s cannot be reached (%s). If it still runs, the guard there undoes everything %.1f s after it has lost us"):format(
      self.node.name, message, self.guard.grace / 1000)
  end
  return other_than(self, "late", why, code)
end

--- Whether the node has been restarted since the lease began. Asks it.
function lease:look_for_restart()
  if self.restarted or not self.creation then return self.restarted end
  local now = self:creation_now()
  self.restarted = now ~= nil and now ~= self.creation
  if self.restarted and self.on_restart then self.on_restart() end
  return self.restarted
end

-- Tells a guard that has taken another's place what is owed; until it knows, we do not count as safe.
local function tell(self)
  local told, message, code = true, nil, nil
  if self.owed then
    local pids, entries = self.owed()
    told, message, code = self.guard:suspend(pids)
    if told and #entries > 0 then told, message, code = self.guard:apply(entries) end
  end
  self.untold = not told or nil
  return told, message, code
end

-- The guard is gone: another takes its place, so that nobody else undoes beside us.
local function succeed(self, message)
  self:look_for_restart()
  self.untold = true
  local begun, problem, code = self.guard:begin()
  if begun then begun, problem, code = tell(self) end
  self.succeeded = begun
  if begun then return held(self) end
  if code == "busy" then
    self.other = true
    return expired(self, ("the guard on %s has undone everything, or is gone. %s"):format(self.node.name, problem))
  end
  return other_than(self, "lost", ("%s, and no other can be started: %s"):format(message, problem), code)
end

--- Makes sure that it is we who undo.
-- @return[1] true
-- @return[2] nil, why not, code: "guard_lost" where the guard does it or has done it, and nothing may be touched any more
function lease:claim()
  if self.state == "expired" then return nil, self.why, "guard_lost" end
  local back, message, code
  for _ = 1, TRIES do
    back, message, code = self.guard:come_back()
    if back or code ~= "timeout" or not self.node:is_open() then break end
  end
  -- One that took another's place, but was late when it was started.
  if back and self.untold then
    back, message, code = tell(self)
    self.succeeded = back
  end
  if back then return held(self) end
  if code == "guard_lost" then
    return expired(self, ("the guard on %s undoes everything by itself"):format(self.node.name))
  end
  if code == "guard_gone" and not (self.in_flight and self.in_flight()) then return succeed(self, message) end
  if code == "guard_gone" then return other_than(self, "lost", message, code) end
  return late(self, message, code)
end

--- Leaves everything to the guard, and touches nothing any more. The guard hears of it: one that is only late would find us here,
-- and wait for us.
-- @string why in words
function lease:hand_over(why)
  self.state, self.why, self.handed_over = "expired", why, true
  if self.node:is_open() and self.guard.pid then self.guard:hand_over() end
end

return lease
