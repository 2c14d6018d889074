--- The guard, seen from outside: starts it on the node, tells it what is owed, and lets it call release_handler.
--
-- The guard itself is guard.erl, which says what it answers. It is asked by its pid, never by its name, so that we never
-- speak to another run's guard. Once it has begun, each act on the node asks it first (see `node:fence`): without it nothing is
-- done there. Knows no steps and no ledger; `observer` is what a ledger is given. Who undoes is for `undo.lease` to decide.
--
-- @classmod edeliver.relup.undo.guard

local core = require "edeliver.relup.core"
local count = require "edeliver.relup.base.count"
local limits = require "edeliver.relup.undo.limits"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local guard = {}
guard.__index = guard

local atom, tuple, list = term.atom, term.tuple, term.list

guard.NAME = "edeliver_relup" -- what the guard is registered as on the node
guard.GRACE, guard.LEASE, guard.PATIENCE, guard.TIMEOUT = 5000, 15000, 300000, 5000 -- ms
local UNDO_TIMEOUT = 60000 -- ms

local function token()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(16) or tostring({}) .. os.time() .. os.clock()
  if file then file:close() end
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- What guard.erl answers.
local OK = shape.is(atom "ok")
local STATUS = shape.either(shape.is(atom "new"), shape.is(atom "here"), shape.is(atom "gone"), shape.is(atom "lost"),
  shape.is(atom "retries"))
local LEFT = shape.either(shape.integer, shape.is(atom "undefined"))
local WHO = shape.tuple(shape.is(atom "guard"), shape.text, STATUS, LEFT, shape.integer, shape.integer)
local BUSY = shape.tuple(shape.is(atom "busy"), shape.any)
local HELLO = shape.either(BUSY, shape.tuple(OK, shape.pid))
local LOST, ERROR = shape.tuple(shape.is(atom "lost"), shape.text), shape.tuple(shape.is(atom "error"), shape.any)

-- What the guard said of itself, as a table.
local function read_who(answer)
  if not WHO(answer) then return nil end
  return {
    who = shape.to_text(answer[2]), status = answer[3].name, left = math.type(answer[4]) and answer[4] or nil,
    pids = answer[5], undos = answer[6],
  }
end

--- Why a second upgrade is refused.
-- @param node
-- @tparam ?table found what `guard.who` gave
-- @return nil, message, "busy"
function guard.busy(node, found)
  if not found then
    return nil, ("Another process on %s has the name %s, so no guard can be started. Nothing was changed"):format(
      node.name, guard.NAME), "busy"
  end
  local rest = ""
  if found.status == "gone" then
    rest = (" It has lost its operator; its guard undoes everything in %.1f s."):format((found.left or 0) / 1000)
  elseif found.status == "lost" then
    rest = " It has lost its operator; its guard undoes everything when the install has ended."
  elseif found.status == "retries" then
    rest = (" It has lost its operator, and its guard has not been able to undo everything: %s, %s. It tries again every "
      .. "few seconds; the log of %s says why it failed. If it never can, `recover --end-guard` ends it."):format(
      count.of(found.pids, "process"), count.of(found.undos, "call"), node.name)
  end
  return nil, ("Another upgrade, started by %s, is active on %s.%s Nothing was changed"):format(found.who, node.name, rest),
    "busy"
end

local LEFT_BEFORE = shape.tuple(shape.either(shape.is(atom "noproc"), shape.is(atom "normal")), shape.any)

--- Whether a call of the guard by its name failed because there is none, or none any more.
function guard.is_gone(code, reason) return code == "exit" and LEFT_BEFORE(reason) end

--- Who has a guard on the node now.
-- @return[1] `{ who =, status = "new" | "here" | "gone" | "lost" | "retries", left = ms until it undoes, pids =, undos = how many
-- are owed }`, or false where there is none
-- @return[2] nil, message, code
function guard.who(node)
  local answer, message, code, reason = node:call("gen_server", "call", { atom(guard.NAME), atom "who", 2000 }, guard.TIMEOUT)
  if answer ~= nil then
    local found = read_who(answer)
    if not found then return guard.busy(node) end
    return found
  end
  if guard.is_gone(code, reason) then return false end
  if code ~= "exit" then return nil, message, code end
  return nil, ("The process %s on %s does not answer as a guard does, so no upgrade can be started: %s"):format(guard.NAME,
    node.name, message), "busy"
end

--- A guard that has not been started.
-- @param node
-- @tparam[opt] table options `who` (what others are told of us), `grace` (ms that it waits for a lost operator, 5000),
-- `lease` (ms without a sign of life after which a connected operator counts as lost, 15000), `patience` (ms that it gives
-- an install to end, before it undoes everything in the middle of it, 300000)
function guard.new(node, options)
  options = options or {}
  return setmetatable({
    node = node, next_id = 0, operator = options.who or "an operator",
    grace = options.grace or guard.GRACE, lease = options.lease or guard.LEASE, patience = options.patience or guard.PATIENCE,
  }, guard)
end

-- Before others, with as much memory as it takes, and cheap to collect however many messages wait.
local OPTIONS = list {
  tuple { atom "priority", atom "high" }, tuple { atom "max_heap_size", 0 },
  tuple { atom "message_queue_data", atom "off_heap" },
}

--- Starts it on the node; also another one, where the first is gone. Where that was interrupted, it has a `pid` and must leave,
-- or it leaves by itself.
-- @return[1] true
-- @return[2] nil, message, code; "busy" where another one is there
function guard:begin()
  if not self.token then
    local fits, message, code = limits.check(self.node)
    if not fits then return nil, message, code end
  end
  self.token, self.epoch, self.seen = token(), 0, 0
  local expression = self.node:expression("guard", {
    Token = self.token, Operator = self.node:self(), Who = self.operator,
    Grace = self.grace // 1 | 0, Lease = self.lease // 1 | 0, Patience = self.patience // 1 | 0,
  })
  local message, code
  self.pid, message, code = shape.expect(self.node, "which process the guard is", shape.pid,
    self.node:call("erlang", "spawn_opt", { atom(expression[1]), atom(expression[2]), list(expression[3]), OPTIONS }))
  if not self.pid then return nil, message, code end
  local hello
  hello, message, code = self:ask(atom "hello", nil, HELLO)
  if hello == nil then return nil, "The guard could not be started: " .. message, code end
  if BUSY(hello) then
    self.pid = nil
    return guard.busy(self.node, read_who(hello[2]))
  end
  self:fence()
  return true
end

--- Makes a guard and starts it.
-- @param node
-- @tparam[opt] table options as `new` takes them
-- @return[1] guard
-- @return[2] nil, message, code
function guard.start(node, options)
  local self = guard.new(node, options)
  local begun, message, code = self:begin()
  if begun then return self end
  if self.pid then self:leave() end -- it may only be slow
  return nil, message, code
end

--- A request as guard.erl takes it from us.
function guard:from_us(request) return tuple { self.token, self.epoch, request } end

-- From now on it lets in what acts on the node.
function guard:fence() return self.node:fence(self.pid, self:from_us(atom "enter")) end

-- Asks the guard, and waits for no answer.
function guard:request(request)
  return self.node:request("gen_server", "call", { self.pid, self:from_us(request), atom "infinity" })
end

-- What the guard answers, ok where no other shape is given; its own refusals as nil, message, code.
function guard:ask(request, timeout, answers)
  return self:understand(answers or OK, self.node:call("gen_server", "call",
    { self.pid, self:from_us(request), atom "infinity" }, timeout or guard.TIMEOUT))
end

-- How a call of a process ends that is gone. Another reason is of what was to make the call, as on a node out of processes.
local GONE = shape.tuple(shape.any, shape.tuple(shape.is(atom "gen_server"), shape.is(atom "call"), shape.any))
local SYSTEM_LIMIT = shape.is(atom "system_limit")

--- Turns an answer of the guard into `nil, message, code` where it refused, or where it is of another shape.
function guard:understand(answers, answer, message, code, reason)
  if answer == nil then
    if reason == nil then return nil, message, code end
    if code == "exit" and GONE(reason) then
      return nil, ("the guard on %s is gone: %s"):format(self.node.name, term.format(reason[1])), "guard_gone"
    end
    return nil, message, SYSTEM_LIMIT(reason) and "system_limit" or code
  end
  if LOST(answer) then return nil, shape.to_text(answer[2]), "guard_lost" end
  if ERROR(answer) then return nil, "the guard refused: " .. term.format(answer[2]), "guard_refused" end
  return shape.expect(self.node, "a question to the guard", answers, answer)
end

-- What is owed -------------------------------------------------------------------------------------------------------

--- These are about to be sent a suspend.
function guard:suspend(pids) return self:ask(tuple { atom "suspend", pids }) end

--- These, and nobody else, are still to be resumed.
function guard:owe(pids) return self:ask(tuple { atom "owed", pids }) end

--- The calls of these entries (of a ledger) undo what is about to be done; the entries are numbered here.
function guard:apply(entries)
  local undos = {}
  for i, entry in ipairs(entries) do
    self.next_id = self.next_id + 1
    entry.id = self.next_id
    undos[i] = tuple { entry.id, entry.term }
  end
  return self:ask(tuple { atom "apply", list(undos) })
end

--- An entry was undone.
function guard:undone(entry) return self:ask(tuple { atom "undone", entry.id }) end

--- What a ledger tells its events to.
function guard:observer()
  return function(event, data)
    if event == "suspend" then return self:suspend(data) end
    if event == "owed" then return self:owe(data) end
    if event == "apply" then return self:apply(data) end
    if event == "undone" then return self:undone(data) end
  end
end

-- The operator comes and goes ----------------------------------------------------------------------------------------

--- After the connection was lost: opens it again and tells the guard that its operator is back.
-- @return[1] true
-- @return[2] nil, message, code: "guard_lost" or "guard_gone" where it has undone everything, or is not there any more
function guard:come_back()
  local back, message, code
  -- A connection that is lost is noticed when it is used: hence twice.
  for _ = 1, 2 do
    if not self.node:is_open() then
      local open
      open, message, code = self.node:reconnect(self.grace)
      if not open then return nil, message, code end
    end
    -- What we have asked for before, and has not arrived yet, never counts.
    self.epoch = self.epoch + 1
    back, message, code = self:ask(tuple { atom "back", self.node:self() })
    if back ~= nil then
      self:fence()
      return true
    end
    if self.node:is_open() then break end
  end
  return nil, message, code
end

local FAILED = shape.tuple(shape.is(atom "failed"), shape.integer, shape.integer)
local UNDONE = shape.either(OK, FAILED)

--- Has the guard undo what it knows to be owed, and leave; not in the middle of a call that it makes.
-- @return[1] true
-- @return[2] nil, message, code; "guard_retries" where it has not been able to, and tries again
function guard:undo()
  local answer, message, code = self:ask(atom "undo", UNDO_TIMEOUT, UNDONE)
  if answer == nil then return nil, message, code end
  if not FAILED(answer) then
    self.node:fence(nil)
    return true
  end
  return nil, ("the guard on %s could not undo everything (left: %s, %s). It tries again every few seconds"):format(
    self.node.name, count.of(answer[2], "process"), count.of(answer[3], "call")), "guard_retries"
end

--- Tells it something by a bare message, which needs no process on the node: nobody waits for an answer.
function guard:tell(request)
  return self.node:send(self.pid, tuple { atom "$gen_call", tuple { self.pid, atom "told" }, self:from_us(request) })
end

--- Has it undo, when it gets to it.
function guard:hand_over() return self:tell(atom "undo") end

--- Waits until it has left. Messages to us that come meanwhile are dropped.
-- @tparam number timeout ms
-- @return whether it has
function guard:wait_until_gone(timeout)
  local deadline = core.now() + timeout
  local reference = self.node:monitor(self.pid)
  while reference do
    local message = self.node:receive(math.max(0, deadline - core.now()))
    if message == nil then return false end
    if term.kind(message) == "tuple" and message[1] == atom "DOWN" and message[2] == reference then return true end
  end
  return false
end

--- The run is over.
function guard:leave()
  local left, message, code = self:ask(atom "leave")
  if left == nil then return nil, message, code end
  self.node:fence(nil)
  return true
end

return guard
