--- A call that the guard makes on the node for us, from its beginning until it was seen to end.
--
-- While one is in flight, nothing may be undone: the release handler may have suspended the same processes as the run has, for
-- their code_change. One resume undoes any number of suspends, so one in the middle of the install may make it fail past its
-- point of no return, and the node restarts. What the guard has to say of a call comes as numbered events, which outlive a
-- connection that breaks. Knows no step, and nothing of what is owed.
--
-- @classmod edeliver.relup.undo.call_in_flight

local core = require "edeliver.relup.core"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local call_in_flight = {}
call_in_flight.__index = call_in_flight

local atom, tuple, list = term.atom, term.tuple, term.list
local LOOK_EVERY = 200 -- ms

-- What guard.erl answers.
local OK = shape.is(atom "ok")
local ANSWERED = shape.either(OK, shape.is(atom "cancelled"), shape.is(atom "too_late"))
local PERFORMED = shape.tuple(shape.is(atom "performed"), shape.any)
local PLACE = shape.either(shape.is(atom "before"), shape.is(atom "within"), shape.is(atom "behind"))
local RUN = shape.tuple(shape.is(atom "run"), shape.integer, shape.any, shape.any, PLACE)
local IDLE = shape.is(atom "idle")
local EVENT = shape.tuple(shape.integer, shape.either(PERFORMED, RUN, IDLE))
local VALUE, EXIT = shape.tuple(shape.is(atom "value"), shape.any), shape.tuple(shape.is(atom "EXIT"), shape.any)

--- A call that has not begun.
-- @tparam table fields `guard`, `claim()` (see `undo.lease`), and optionally `before`: how many of the relup's calls stand before
-- the point of no return (default: all, so that a failure cancels); `within`: how many before its last change (default: all);
-- `serve(name, arguments, place)`: runs one, gives true or nil, message; `place` is "before", "within" or "behind";
-- `probe(deadline, stop)`: whether the call has ended, for when the guard is gone and cannot tell
-- @return with `name`, `started` (as `core.now` counts) and `state`: "new", "asked" (it may have begun), "runs", "ended"
function call_in_flight.new(fields)
  local self = setmetatable(fields, call_in_flight)
  self.state = "new"
  return self
end

--- Whether it has ended, or never began.
function call_in_flight:ended() return self.state == "ended" or self.state == "new" end

--- It has been seen to end in another way.
function call_in_flight:close() self.state = "ended" end

--- Asks the guard to make it.
-- @return[1] true
-- @return[2] nil, message, code
function call_in_flight:begin(module, fun, arguments)
  local mfa = tuple { atom(module), atom(fun), list(table.move(arguments, 1, #arguments, 1, {})) }
  self.name, self.started, self.state = module .. ":" .. fun, core.now(), "asked"
  local request, message, code = self.guard:request(tuple {
    atom "perform", mfa, self.before or atom "infinity", self.within or atom "infinity",
  })
  self.request = request
  if request then return true end
  self.state = "ended"
  return nil, message, code
end

local NOT_BEGUN = { guard_refused = true, system_limit = true, guard_lost = true }

-- Waits until the guard has confirmed that it has begun.
local function confirm(self, timeout, stop)
  local answer, message, code, reason = self.guard.node:await(self.request, timeout, stop)
  if answer == nil and (code == "timeout" or code == "interrupted") then return nil, message, code end
  self.request = nil
  answer, message, code = self.guard:understand(OK, answer, message, code, reason)
  self.state = NOT_BEGUN[code] and "ended" or "runs"
  return answer, message, code
end

-- The guard's next event, over a connection that may break and heal meanwhile. `stop` is asked now and then.
local function next_event(self, deadline, stop)
  local guard = self.guard
  local request, message, code, reason = guard:request(tuple { atom "next", guard.seen })
  local event
  if request then event, message, code, reason = guard.node:await(request, math.max(0, deadline - core.now()), stop) end
  event, message, code = guard:understand(EVENT, event, message, code, reason)
  if event == nil and not guard.node:is_open() then
    local back
    back, message, code = self.claim()
    if back then return next_event(self, deadline, stop) end
  elseif code == "system_limit" and core.now() < deadline and not (stop and stop()) then
    -- The node has no room for what passes the question on: the call runs all the same.
    guard.node:sleep(LOOK_EVERY)
    return next_event(self, deadline, stop)
  end
  return event, message, code
end

local function decline() return nil, "the run has ended" end

-- Runs what the relup asks for and answers the guard.
local function answer(self, event, serve)
  local number, name, arguments, place = event[2], shape.to_text(event[3]) or term.format(event[3]), event[4], event[5].name
  local result, message, why = serve(name, arguments, place)
  local outcome = atom "ok"
  if result == nil or result == false then
    -- What the relup does not call for does not count among its calls: the guard knows by their number where each stands.
    outcome = tuple { atom(why == "unexpected_call" and "strange" or "failed"), tostring(message or name .. " failed") }
  end
  local request = tuple { atom "answer", number, outcome }
  local told, problem, code = self.guard:ask(request, nil, ANSWERED)
  if told == nil and not self.guard.node:is_open() and self.claim() then
    told, problem, code = self.guard:ask(request, nil, ANSWERED)
  elseif code == "system_limit" then
    told, problem, code = self.guard:tell(request)
  end
  return told, problem, code
end

local function value_of(self, result)
  if VALUE(result) then return result[2] end
  return nil, ("%s on %s failed: %s"):format(self.name, self.guard.node.name, term.format(result)), "exit",
    EXIT(result) and result[2] or result
end

-- Takes events until the call has ended. One counts as seen when all that it asks for was done: who is interrupted gets
-- it again.
local function follow(self, serve, deadline, stop)
  while true do
    local event, message, code = next_event(self, deadline, stop)
    if event == nil then return nil, message, code end
    local what = event[2]
    if IDLE(what) then
      self.state = "ended"
      return nil, ("nothing of %s runs on %s"):format(self.name, self.guard.node.name), "idle"
    end
    if PERFORMED(what) then
      self.guard.seen, self.state = event[1], "ended"
      return value_of(self, what[2])
    end
    local told
    told, message, code = answer(self, what, serve)
    if not told then return nil, message, code end
    self.guard.seen = event[1]
    -- A relup that calls on and on must not keep us, least of all while signals are held back.
    if core.now() >= deadline or stop and stop() then
      return nil, ("%s on %s has not ended in time"):format(self.name, self.guard.node.name), "timeout"
    end
  end
end

-- `longest`: for how many ms the guard may take to confirm that it has begun.
local function wait(self, deadline, stop, longest)
  -- Where a signal came before the request was noted, it may be on its way all the same: what the guard says next tells.
  if self.state == "asked" and self.request then
    local begun, message, code = confirm(self, math.min(longest, math.max(0, deadline - core.now())), stop)
    if begun == nil and (self:ended() or code ~= "nodedown") then return nil, message, code end
  end
  return follow(self, self.serve or decline, deadline, stop)
end

--- Waits for its end, and serves what the relup asks of us meanwhile.
-- @tparam number deadline as `core.now` counts
-- @tparam[opt] function stop asked now and then; true: stop waiting
-- @return as `node:call`; "timeout" where it still runs; "guard_lost" or "guard_gone" where the guard cannot tell
function call_in_flight:wait(deadline, stop) return wait(self, deadline, stop, self.guard.TIMEOUT) end

-- The guard is gone, and with it what it knew.
local function wait_for_probe(self, deadline, stop, message)
  if not self.probe or self.probe(deadline, function() return stop(true) end) then
    self.state = "ended"
    return nil, message, "idle"
  end
  return nil, message, "timeout"
end

--- Waits for its end although the run is over: what the relup asks for fails, which before the point of no return cancels it.
-- @tparam number deadline as `core.now` counts
-- @tparam function stop as `wait` takes it; it gets true where the guard is gone
-- @return as `wait`; "timeout" alone says that it still runs; "idle": it has ended, and nobody knows what it came to
function call_in_flight:outlast(deadline, stop)
  self.serve = nil
  repeat
    -- A guard that is slow may begin it yet: that is a call that has not ended.
    local outcome = table.pack(wait(self, deadline, stop, math.huge))
    local message, code = outcome[2], outcome[3]
    if code == "guard_gone" then return wait_for_probe(self, deadline, stop, message) end
    -- The guard is not ours any more, but it is there until the call has ended.
    if code ~= "guard_lost" then return table.unpack(outcome, 1, outcome.n) end
    self.guard.node:sleep(LOOK_EVERY)
  until core.now() >= deadline or stop()
  return nil, "the guard waits for it, too", "timeout"
end

return call_in_flight
