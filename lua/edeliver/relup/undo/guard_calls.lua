--- The calls that a guard makes on the node for us, as of release_handler, and what a relup asks of us meanwhile: methods of
-- `edeliver.relup.undo.guard`.
--
-- What the guard has to say of one comes as numbered events, which outlive a connection that breaks. Knows no steps, and nothing
-- of what is owed.
--
-- @classmod edeliver.relup.undo.guard_calls

local core = require "edeliver.relup.core"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local guard_calls = {}

local atom, tuple, list = term.atom, term.tuple, term.list
local LOOK_EVERY = 200 -- ms

-- What guard.erl answers.
local OK = shape.is(atom "ok")
local ANSWERED = shape.either(OK, shape.is(atom "cancelled"), shape.is(atom "too_late"))
local PERFORMED = shape.tuple(shape.is(atom "performed"), shape.any)
local RUN = shape.tuple(shape.is(atom "run"), shape.integer, shape.any, shape.any)
local IDLE = shape.is(atom "idle")
local EVENT = shape.tuple(shape.integer, shape.either(PERFORMED, RUN, IDLE))
local VALUE, EXIT = shape.tuple(shape.is(atom "value"), shape.any), shape.tuple(shape.is(atom "EXIT"), shape.any)

-- The guard's next event, over a connection that may break and heal meanwhile. `enough` is asked now and then.
local function next_event(self, deadline, enough)
  local request, message, code, reason = self:request(tuple { atom "next", self.seen })
  local event
  if request then event, message, code, reason = self.node:await(request, math.max(0, deadline - core.now()), enough) end
  event, message, code = self:understand(EVENT, event, message, code, reason)
  if event == nil and not self.node:is_open() then
    local back
    back, message, code = self:come_back()
    if back then return next_event(self, deadline, enough) end
  end
  return event, message, code
end

--- Runs what the relup asks for and answers the guard.
function guard_calls:answer(event, serve)
  local number, name, arguments = event[2], shape.to_text(event[3]) or term.format(event[3]), event[4]
  local result, message = serve(name, arguments)
  local outcome = atom "ok"
  if result == nil or result == false then
    outcome = tuple { atom "failed", tostring(message or name .. " failed") }
  end
  local answer = tuple { atom "answer", number, outcome }
  local told, problem, code = self:ask(answer, nil, ANSWERED)
  if told == nil and not self.node:is_open() and self:come_back() then told, problem, code = self:ask(answer, nil, ANSWERED) end
  if told == nil then return nil, problem, code end
  return true
end

-- Takes events until the call that is made has ended. One counts as seen when all that it asks for was done: whoever is
-- interrupted gets it again.
local function follow(self, serve, deadline, enough)
  while true do
    local event, message, code = next_event(self, deadline, enough)
    if event == nil then return nil, message, code end
    local what = event[2]
    if IDLE(what) then
      self.performing = nil
      return nil, "what came of it was told already", "idle"
    end
    if PERFORMED(what) then
      local result, performed = what[2], self.performing
      self.seen, self.performing = event[1], nil
      if VALUE(result) then return result[2] end
      return nil, ("%s on %s failed: %s"):format(performed, self.node.name, term.format(result)), "exit",
        EXIT(result) and result[2] or result
    end
    local answered
    answered, message, code = self:answer(what, serve)
    if not answered then return nil, message, code end
    self.seen = event[1]
    -- A relup that calls on and on must not keep us, least of all while signals are held back.
    if core.now() >= deadline or enough and enough() then
      return nil, ("%s on %s has not ended in time"):format(self.performing, self.node.name), "timeout"
    end
  end
end

--- Lets the guard make a call, and serves what the relup asks of us meanwhile. `performing` says which, until it has ended.
-- @tparam table options `before`: how many of the relup's calls stand before the point of no return (default: all, so that a
-- failure cancels); `within`: how many before its last change (default: all); `serve(name, arguments)`: runs one, gives true or
-- nil, message
-- @return as `node:call`
function guard_calls:perform(module, fun, arguments, timeout, options)
  local mfa = tuple { atom(module), atom(fun), list(table.move(arguments, 1, #arguments, 1, {})) }
  local deadline = core.now() + (timeout or math.huge)
  self.performing = module .. ":" .. fun
  local told, message, code, reason
  self.begun, message, code = self:request(tuple {
    atom "perform", mfa, options.before or atom "infinity", options.within or atom "infinity",
  })
  if self.begun then told, message, code, reason = self.node:await(self.begun, self.TIMEOUT) end
  told, message, code = self:understand(OK, told, message, code, reason)
  if told == nil then return nil, message, code end
  self.begun = nil
  return follow(self, options.serve, deadline)
end

local function decline() return nil, "the run has ended" end

--- Waits for the end of a call that was made for us and given up. What the relup asks for meanwhile fails: before the point of no
-- return that cancels it.
-- @tparam number deadline as `core.now` counts
-- @tparam function enough asked now and then; true: it is not waited for any longer
-- @return as `perform`
function guard_calls:outlast(deadline, enough)
  -- Whether it has begun at all, where even that was not waited for.
  if self.begun then self.node:await(self.begun, self.TIMEOUT, enough) end
  repeat
    local answer, message, code, reason = follow(self, decline, deadline, enough)
    -- Ours no more, but it is there until the call has ended.
    if code ~= "guard_lost" then return answer, message, code, reason end
    self.node:sleep(LOOK_EVERY)
  until core.now() >= deadline or enough()
  return nil, "the guard waits for it, too", "timeout"
end

--- Something with the `name` and the `call` of a node, whose calls the guard makes: for `otp.release_handler`.
-- @tparam table options as `perform` takes them
function guard_calls:performer(options)
  return {
    name = self.node.name,
    call = function(_, module, fun, arguments, timeout) return self:perform(module, fun, arguments, timeout, options) end,
  }
end

return guard_calls
