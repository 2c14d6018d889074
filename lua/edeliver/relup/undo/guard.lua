--- The guard, seen from outside: starts it on the node, tells it what is owed, and lets it call release_handler.
--
-- The guard itself is guard.erl, which says what it answers. It is asked by its pid, never by its name, so that we never
-- speak to another run's guard. Knows no steps and no ledger; `observer` is what a ledger is given.
--
-- @classmod edeliver.relup.undo.guard

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local guard = {}
guard.__index = guard

local atom, tuple, list = term.atom, term.tuple, term.list

guard.NAME = "edeliver_relup" -- what the guard is registered as on the node
guard.GRACE, guard.LEASE, guard.PATIENCE, guard.TIMEOUT = 5000, 15000, 300000, 5000 -- ms
local UNDO_TIMEOUT = 60000 -- ms

-- Reads what lies beside this file, wherever it was installed.
local function source()
  local folder = debug.getinfo(1, "S").source:match "^@(.*)[/\\][^/\\]*$" or "."
  local file = assert(io.open(folder .. "/../erlang/guard.erl", "rb"))
  local text = file:read "a"
  file:close()
  return text
end

-- Scans, parses and runs the guard on the node: only this little text makes the way as terms.
local START = [=[
  {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Source)),
  {ok, Forms} = erl_parse:parse_exprs(Tokens),
  Name = unicode:characters_to_binary(io_lib:format("~ts as ~ts", [Who, node(Operator)])),
  Bindings = [{'Grace', Grace}, {'Lease', Lease}, {'Operator', Operator}, {'Patience', Patience}, {'Token', Token},
              {'Who', Name}],
  spawn(erl_eval, exprs, [Forms, orddict:from_list(Bindings)]).
]=]

local function token()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(16) or tostring({}) .. os.time() .. os.clock()
  if file then file:close() end
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- What guard.erl answers.
local OK = shape.is(atom "ok")
local STATUS = shape.either(shape.is(atom "new"), shape.is(atom "here"), shape.is(atom "gone"), shape.is(atom "lost"))
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

-- Why a second run is refused.
local function busy(node, found)
  if not found then
    return nil, ("something else on %s is registered as %s: no guard can be started"):format(node.name, guard.NAME), "busy"
  end
  local state = "goes on"
  if found.status == "gone" then
    state = ("has lost its operator; in %.1f s all of it will be undone"):format((found.left or 0) / 1000)
  elseif found.status == "lost" then
    state = "has lost its operator; all of it will be undone when its install has ended"
  end
  return nil, ("another run on %s %s: of %s. Nothing was done"):format(node.name, state, found.who), "busy"
end

--- Who has a guard on the node now.
-- @return[1] `{ who =, status = "new" | "here" | "gone" | "lost", left = ms until it undoes, pids =, undos = how many are
-- owed }`, or false where there is none
-- @return[2] nil, message, code
function guard.who(node)
  local answer, message, code, reason = node:call("gen_server", "call", { atom(guard.NAME), atom "who", 2000 }, guard.TIMEOUT)
  if answer ~= nil then
    local found = read_who(answer)
    if not found then return busy(node) end
    return found
  end
  if code == "exit" and term.format(reason):find("noproc", 1, true) then return false end
  return nil, message, code
end

--- A guard that has not been started.
-- @param node
-- @tparam[opt] table options `who` (what others are told of us), `grace` (ms that it waits for a lost operator, 5000),
-- `lease` (ms without a sign of life after which a connected operator counts as lost, 15000), `patience` (ms that an install is
-- waited for, before everything is undone in the middle of it, 300000)
function guard.new(node, options)
  options = options or {}
  return setmetatable({
    node = node, token = token(), next_id = 0, seen = 0, operator = options.who or "an operator",
    grace = options.grace or guard.GRACE, lease = options.lease or guard.LEASE, patience = options.patience or guard.PATIENCE,
  }, guard)
end

--- Starts it on the node. Where that was interrupted, it is to be let go if it has a `pid`; else it leaves by itself.
-- @return[1] true
-- @return[2] nil, message, code; "busy" where another run goes on
function guard:begin()
  local message, code
  self.pid, message, code = shape.expect(self.node, "which process the guard is", shape.pid, self.node:eval(START, {
    Source = source(), Token = self.token, Operator = self.node:self(), Who = self.operator,
    Grace = self.grace // 1 | 0, Lease = self.lease // 1 | 0, Patience = self.patience // 1 | 0,
  }))
  if not self.pid then return nil, message, code end
  local hello
  hello, message, code = self:ask(atom "hello", nil, HELLO)
  if hello == nil then return nil, "the guard could not be started: " .. message, code end
  if BUSY(hello) then return busy(self.node, read_who(hello[2])) end
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
  if not begun then return nil, message, code end
  return self
end

-- Asks the guard, and waits for no answer.
function guard:request(request)
  return self.node:request("gen_server", "call", { self.pid, tuple { self.token, request }, atom "infinity" })
end

-- What the guard answers, ok where no other shape is given; its own refusals as nil, message, code.
function guard:ask(request, timeout, answers)
  return self:understand(answers or OK, self.node:call("gen_server", "call",
    { self.pid, tuple { self.token, request }, atom "infinity" }, timeout or guard.TIMEOUT))
end

--- Turns an answer of the guard into `nil, message, code` where it refused, or where it is of another shape.
function guard:understand(answers, answer, message, code, reason)
  if answer == nil then
    if reason ~= nil then
      return nil, ("the guard on %s is gone: %s"):format(self.node.name, term.format(reason)), "guard_gone"
    end
    return nil, message, code
  end
  if LOST(answer) then return nil, shape.to_text(answer[2]), "guard_lost" end
  if ERROR(answer) then return nil, "the guard refused: " .. term.format(answer), "guard_refused" end
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
    back, message, code = self:ask(tuple { atom "back", self.node:self() })
    if back ~= nil then return true end
    if self.node:is_open() then break end
  end
  return nil, message, code
end

--- Has the guard undo what it knows to be owed, and leave; not in the middle of a call that it makes.
function guard:undo() return self:ask(atom "undo", UNDO_TIMEOUT) end

--- The same, when it gets to it: nobody waits for it.
function guard:hand_over() return self:request(atom "undo") end

--- The run is over.
function guard:leave() return self:ask(atom "leave") end

-- The calls that it makes for us, and the relup's calls of us.
for name, method in pairs(require "edeliver.relup.undo.guard_calls") do guard[name] = method end

return guard
