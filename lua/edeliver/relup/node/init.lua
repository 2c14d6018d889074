--- A node: everything that an instruction may ask of one.
--
-- The only user of the C core besides the facade and the sequence. Says in words what the core says in codes; knows nothing
-- of releases, web servers or sequences.
--
-- What the node, the network or the time refuses comes back as `nil, message, code`; only the caller's own mistakes
-- raise. Timeouts are milliseconds, `math.huge` is forever.
--
-- @classmod edeliver.relup.node

local core = require "edeliver.relup.core"
local escape = require "edeliver.relup.base.escape"
local printing = require "edeliver.relup.node.printing"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"
local tls_options = require "edeliver.relup.node.tls_options"

core.set_types(term.types)

local atom, list = term.atom, term.list

local node = {}
node.__index = node
node.__name = "edeliver.relup.node"

local CALL_TIMEOUT, BULK_TIMEOUT, RECONNECT_EVERY, ASK_EVERY = 5000, 1000, 250, 200 -- ms

-- Connecting ---------------------------------------------------------------------------------------------------------

local OPTIONS = {
  cookie = true, address = true, port = true, epmd_port = true, name = true, timeout = true, tick = true,
  max_frame = true, rex = true, tls = true, ssh = true,
}

local function check_options(name, options)
  if type(name) ~= "string" then error("the name of a node is a string, like \"myapp@web1\"", 3) end
  for option in pairs(options) do
    if not OPTIONS[option] then error(("connect has no option %q"):format(tostring(option)), 3) end
  end
end

-- A connection of the core takes the place of the one before, if there is one: where that one acted, the node has to forget it,
-- so that nothing that was begun over it happens after what is done over the new one.
local function take(self, connection)
  local carrier = self.carrier
  self.pid, self.carrier = connection:self(), nil
  if self.gate then connection:fence(self.gate, self.gate_request) end
  self.connection = self.show and printing.new(connection, self.show, core.now) or connection
  if carrier then self:run("forget", { Carrier = carrier, New = self.pid }) end
  return self
end

-- Before the first act over a connection: what it is known by on the node. By its name it is not: others get that later.
local function remember(self)
  local message, code
  if not self.carrier then self.carrier, message, code = self:run("carrier", { Pid = self.pid }) end
  return self.carrier, message, code
end

--- Connects to a node. It becomes a hidden connection under a name that the node gives, so that two programs never clash.
-- @string name "name@host", as the node calls itself
-- @tparam[opt] table options `cookie` (default: ~/.erlang.cookie), `timeout` for the whole connect (5000), `epmd_port`
-- (ERL_EPMD_PORT or 4369), `port` (then epmd is not asked), `address` (connect there instead of to the host of the name),
-- `ssh` (a host, as ssh takes it: the node and its epmd are reached from there, through an ssh that ends with the connection),
-- `name` (a node name of our own), `tick` (ms between signs of life, 1000), `max_frame` (bytes), `rex` (call through the
-- `rex` server even where the node has better), `tls` (a table, for nodes that were started with `-proto_dist inet_tls`).
--
-- `tls` has paths of PEM files: `cacertfile` (the CA that has signed the node's certificate), and `certfile` and `keyfile`
-- (with `password`, where it has one) for nodes that want to see a certificate of ours. `optfile` names a node's own
-- `ssl_dist_optfile`, and what is missing is taken from there. The node's certificate must have the host of the node's name,
-- or `server_name`. Without a `cacertfile` the connection is refused, unless `verify = "none"` says in so many words that
-- anybody may answer in the node's place; nothing else has that effect, least of all `verify_none` in an `optfile`.
-- @treturn[1] node a node, to be closed
-- @treturn[2] nil
-- @treturn[2] string what was tried, and what to try next
-- @treturn[2] string "auth", "nodedown", "no_epmd", "not_allowed", "refused", "unknown_host", "alive", "timeout", "tls",
-- "ssh", "badarg", …
-- @usage relup.connect("myapp@web1", { tls = { cacertfile = "ca.pem", certfile = "ops.pem", keyfile = "ops.key" } })
-- @usage relup.connect("myapp@web1", { ssh = "ops@web1", address = "127.0.0.1" }) -- an address as web1 sees it
function node.connect(name, options)
  options = options or {}
  check_options(name, options)
  local given = { node = name }
  for option, value in pairs(options) do given[option] = value end
  local connection, message, code
  given.tls, message, code = tls_options.wanted(options.tls, 2)
  if given.tls == nil then return nil, message, code end
  given.tls = given.tls or nil
  connection, message, code = core.connect(given)
  if not connection then return nil, message, code end
  return take(setmetatable({ name = name, options = given }, node), connection)
end

--- Opens a lost or closed connection again, with the options it was made with. The node has forgotten the old one then: what
-- was linked to it there has ended.
-- @tparam[opt=0] number patience ms: for how long to try again, while the node may be restarting
-- @treturn[1] boolean true
-- @return[2] nil, message, code
function node:reconnect(patience)
  local give_up = core.now() + (patience or 0)
  self.connection:close()
  repeat
    local connection, message, code = core.connect(self.options)
    if connection then
      take(self, connection)
      return true
    end
    if code == "interrupted" or core.now() >= give_up then return nil, message, code end
    core.sleep(RECONNECT_EVERY)
  until false
end

--- Closes the connection. Also what `local node <close>` does. Closing twice is fine.
function node:close() self.connection:close() end
node.__close = node.close

--- Whether the connection is up, as far as is known: a lost one is noticed when it is used.
function node:is_open() return self.connection:is_open() end

--- The pid that we go by on that node.
function node:self() return self.connection:self() end

function node:__tostring()
  return ("node %s (%s)"):format(self.name, self:is_open() and "connected" or "not connected")
end

-- Calls --------------------------------------------------------------------------------------------------------------

local function named(module, fun, arguments) return ("%s:%s/%d"):format(module, fun, #arguments) end

-- What the core says of an exception, in words; everything else passes through.
local function explain(self, what, value, message, code, reason)
  if value ~= nil or message ~= nil then return value, message, code end
  local text = ("%s failed on %s: %s:%s"):format(what, self.name, code, term.format(reason))
  return nil, escape.line(text), code, reason
end

--- Calls a function on the node and waits for what it returns.
-- @string module
-- @string fun
-- @tparam[opt={}] table arguments a list of terms
-- @tparam[opt=5000] number timeout ms
-- @return[1] the term that it returned
-- @treturn[2] nil
-- @treturn[2] string message
-- @treturn[2] string "error", "exit" or "throw" where the function raised; "timeout", "nodedown", …
-- @return[2] the reason that it raised with, a term
-- @usage node:call("erlang", "system_info", { atom "otp_release" })
function node:call(module, fun, arguments, timeout)
  arguments = arguments or {}
  return explain(self, named(module, fun, arguments), self.connection:call(module, fun, arguments, timeout or CALL_TIMEOUT))
end

local function start(self, how, module, fun, arguments)
  arguments = arguments or {}
  local call, message, code = self.connection[how](self.connection, module, fun, arguments)
  if not call then return nil, message, code end
  return { call = call, what = named(module, fun, arguments) }
end

--- Starts a call; `await` waits for it. Several may be in flight.
-- @return[1] a request
-- @return[2] nil, message, code
function node:request(module, fun, arguments) return start(self, "request", module, fun, arguments) end

--- Waits for a started call; after a timeout it can be awaited again.
-- @param request what `request` gave
-- @tparam[opt=5000] number timeout ms
-- @tparam[opt] function enough asked now and then; true counts as a timeout
-- @return as `call` does
function node:await(request, timeout, enough)
  timeout = timeout or CALL_TIMEOUT
  local give_up = core.now() + timeout
  local outcome
  repeat
    local at_most = enough and math.min(ASK_EVERY, give_up - core.now()) or timeout
    outcome = table.pack(self.connection:await(request.call, math.max(0, at_most)))
  until outcome[3] ~= "timeout" or not enough or enough() or core.now() >= give_up
  return explain(self, request.what, table.unpack(outcome, 1, outcome.n))
end

--- Calls a function whose effect will be undone. What it runs in ends with the connection, and where it is given up, by a
-- timeout or by a signal, `end_acts` ends it: an act never comes after what undoes it. (Before OTP 23 nothing ends it before its
-- time.)
-- @return as `call` does
function node:act(module, fun, arguments, timeout)
  local request, message, code = remember(self)
  if request then request, message, code = start(self, "act", module, fun, arguments) end
  if not request then return nil, message, code end
  return self:await(request, timeout)
end

--- From now on whatever acts here and will be undone (`act`, `bulk_suspend`, `bulk_resume`) first asks a process on the node, in
-- its own process there, and is refused with the code "fenced", without having done anything, where that one is gone or refuses.
-- So an act that arrives late does nothing. Also over connections that are opened later.
-- @param[opt] gate a pid, which is asked as `gen_server:call(Gate, Request, infinity)`; nil: nobody is asked any more
-- @param[opt] request a term
function node:fence(gate, request)
  self.gate, self.gate_request = gate, request
  if self:is_open() then self.connection:fence(gate, request) end
end

--- Ends all acts in flight, also those that nobody waits for any more. Signals do not cut it short.
-- @tparam[opt=5000] number timeout ms
-- @return[1] true: whatever the node is asked for from now on comes after them
-- @return[2] nil, message, code
function node:end_acts(timeout) return self.connection:end_acts(timeout or CALL_TIMEOUT) end

--- Runs a function on the node and does not wait for it.
-- @return[1] true
-- @return[2] nil, message, code
function node:cast(module, fun, arguments) return self.connection:cast(module, fun, arguments or {}) end

--- `lists:map(fun module:fun/1, items)` on the node: one question about many things, in one call.
-- @return[1] a list, as long as `items`, of what the node gave
-- @return[2] nil, message, code
function node:map(module, fun, items, timeout)
  return shape.expect(self, module .. ":" .. fun, shape.list(nil, #items),
    self:call("lists", "map", { term.export(module, fun, 1), items }, timeout))
end

--- From now on, what the functions that we call print (`io:format` and its like) is handed over, while we wait for them or for
-- anything else here. Until then it is shown to nobody. What already runs prints to us as well. Waiting takes no longer for it.
-- @tparam[opt] function show gets each piece of text, in UTF-8, and may itself ask the node something; nil: nobody wants to see
-- it any more
-- @usage node:on_output(io.write)
function node:on_output(show)
  if self.show then self.connection = self.connection:stop() end
  self.show = show
  if show then self.connection = printing.new(self.connection, show, core.now) end
end

-- Messages -----------------------------------------------------------------------------------------------------------

--- Sends a message to a pid, or to the process that is registered under a name.
-- @param to a pid or a string
-- @param message a term
-- @return[1] true: it was handed to the network
-- @return[2] nil, message, code
function node:send(to, message) return self.connection:send(to, message) end

--- The next message that was sent to us, as `{'DOWN', Ref, process, Pid, Reason}` is for what we monitor.
-- @tparam[opt=5000] number timeout ms
-- @return[1] a term
-- @return[2] nil, message, code
function node:receive(timeout) return self.connection:receive(timeout or CALL_TIMEOUT) end

--- Monitors a process: when it ends, a `'DOWN'` message can be received.
-- @return[1] a reference
-- @return[2] nil, message, code
function node:monitor(pid) return self.connection:monitor(pid) end

--- Takes a monitor back.
function node:demonitor(reference) return self.connection:demonitor(reference) end

-- Many processes -----------------------------------------------------------------------------------------------------

--- A pid set of a list of pids, in its order; or of what `term_to_binary(Pids)` made on a node.
-- @return[1] a pid set
-- @return[2] nil, message, "protocol" where bytes are no list of pids
function node:pids(pids) return core.pids(pids) end -- luacheck: ignore self

--- Whether all of these are processes of this node, alive or dead. It can be asked about no others.
-- @param pids a pid set, a list of pids, or a pid
-- @return[1] true
-- @return[2] nil, message, "badarg"
function node:owns(pids) return self.connection:owns(pids) end

--- Every process of the node.
-- @return[1] a pid set
-- @return[2] nil, message, code
function node:processes(timeout) return self.connection:processes(timeout or CALL_TIMEOUT) end

--- `erlang:process_info/2`, of one process or of many in a few calls. Messages are never read.
-- @param pids a pid, a list of pids or a pid set
-- @tparam table items names of items, as strings
-- @tparam[opt=5000] number timeout ms
-- @return[1] for one pid: `{ item = value }`, or false where it is dead; for many: a list of those, in order
-- @return[2] nil, message, code: "limit" where all of them have more than 4 Mi parts (atoms, numbers, lists, ...), and 16 more
-- for each
-- @usage node:process_info(pids, { "current_function", "message_queue_len" })
function node:process_info(pids, items, timeout)
  local infos, message, code = self.connection:process_info(pids, items, timeout or CALL_TIMEOUT)
  if not infos then return nil, message, code end
  if term.kind(pids) == "pid" then return infos[1] end
  return infos
end

-- Why a process did not do it, in its own words: `sys` answers {error, Reason}.
local function reason_of(answer)
  if shape.tuple(shape.is(term.atom "error"), shape.any)(answer) then return answer[2] end
  return answer
end

-- The answers of a bulk request as design.md gives them.
local function bulk(self, request, pids, timeout)
  local set = core.pids(pids)
  local known, message, code = remember(self)
  if not known then return nil, message, code, false end
  local failed, positions, reasons, answers = self.connection:sys(request, set, timeout or BULK_TIMEOUT)
  if not failed then return nil, positions, reasons, answers end
  if failed == 0 then return "ok" end
  local errors, silent = {}, 0
  for i, position in ipairs(positions) do
    errors[i] = { pid = set[position], reason = reasons[i], answer = reason_of(answers[position]) }
    if reasons[i] ~= "error" then silent = silent + 1 end
  end
  return silent == #set and "not_supported" or "errors", failed, errors
end

--- Asks all these processes at once to suspend themselves (`sys:suspend`), and waits until each has answered, has died, or
-- the time is up. Those that were asked may still do it later: all of them must be resumed, the silent ones too.
-- @param pids a pid set, a list of pids, or a pid
-- @tparam[opt=1000] number timeout ms, for all of them together
-- @treturn[1] string "ok"
-- @treturn[2] string "errors", or "not_supported" where every single one is dead or silent
-- @treturn[2] number how many
-- @treturn[2] table `{ pid =, reason = "noproc" | "timeout" | "error", answer = what it says itself, where it is "error" }` for
-- each of them, in the order asked
-- @treturn[3] nil
-- @treturn[3] string message
-- @treturn[3] string code
-- @treturn[3] boolean whether requests may have been sent all the same
function node:bulk_suspend(pids, timeout) return bulk(self, "suspend", pids, timeout) end

--- Asks all these processes at once to resume (`sys:resume`). A process that is not suspended answers ok, too.
-- @param pids a pid set, a list of pids, or a pid
-- @tparam[opt=1000] number timeout ms, for all of them together
-- @return as `bulk_suspend` does
function node:bulk_resume(pids, timeout) return bulk(self, "resume", pids, timeout) end

--- Has all these processes, which are suspended, change their state for the module's code that is loaded now
-- (`sys:change_code`). Whoever is not suspended refuses.
-- @param pids a pid set, a list of pids, or a pid
-- @param module an atom or a string, as the processes' `code_change` hands it on
-- @param old_vsn a term: the `vsn` that they come from; `{down, Vsn}` for where they go back to
-- @param extra a term
-- @tparam[opt=1000] number timeout ms, for all of them together: who is silent then may still change
-- @return as `bulk_suspend` does; `answer` is what `code_change` failed with, of the first 4 MiB of them
-- @usage node:bulk_change_code(pids, "my_server", atom "undefined", term.list {})
function node:bulk_change_code(pids, module, old_vsn, extra, timeout)
  if type(module) == "string" then module = term.atom(module) end
  if term.kind(module) ~= "atom" then error("bulk_change_code needs a module, an atom or a string", 2) end
  return bulk(self, term.tuple { term.atom "change_code", module, old_vsn, extra }, pids, timeout)
end

--- Which processes are suspended now: of the whole node, or of these processes.
-- @param[opt] pids
-- @tparam[opt=5000] number timeout ms
-- @return[1] the pid set of those that do
-- @return[1] the pid set of those that hibernate: of them only `sys:get_status` tells
-- @return[1] the pid set of those that hibernate and are not suspended: since OTP 29 gen_server and gen_statem show it
-- @return[2] nil, message, code
function node:suspended(pids, timeout)
  if not pids then
    local message, code
    pids, message, code = self:processes(timeout)
    if not pids then return nil, message, code end
  end
  return self.connection:suspended(pids, timeout or CALL_TIMEOUT)
end

-- Waiting ------------------------------------------------------------------------------------------------------------

--- Lets time pass while the connection is served.
-- @tparam number ms
-- @return[1] true
-- @return[2] nil, message, code
function node:sleep(ms) return self.connection:sleep(ms) end

--- For event loops: the descriptor, what to wait for ("r" or "rw"), and for how long at most in seconds (nil: nothing is
-- due, signs of life are sent by themselves; 0: something is here already). When it is ready, `pump` takes in what came.
function node:pollfd() return self.connection:pollfd() end
function node:events() return self.connection:events() end
function node:timeout() return self.connection:timeout() end
function node:pump() return self.connection:pump() end

-- Erlang text --------------------------------------------------------------------------------------------------------

-- Loaded when it is used: many programs only make calls.
local function erlang() return require "edeliver.relup.node.erlang" end

--- What evaluates `run` of one of our Erlang modules, as a call that can be kept and made later.
-- @string name of a file `erlang/NAME.erl`
-- @tparam[opt] table bindings `{ Argument = term }`, one for each argument of `run`: others raise, and missing ones, too
-- @return `{ module, fun, arguments }`
function node:expression(name, bindings) -- luacheck: ignore self
  local expression = erlang().expression(name, bindings, 2)
  return expression
end

--- Evaluates `run` of one of our Erlang modules on the node.
-- @string name of a file `erlang/NAME.erl`
-- @tparam[opt] table bindings as `expression` takes them
-- @tparam[opt=5000] number timeout ms
-- @return[1] what `run` gives
-- @return[2] nil, message, code
-- @usage node:run("md5", { Path = term.charlist(path) }, 300000)
function node:run(name, bindings, timeout)
  local call = erlang().expression(name, bindings, 2)
  return explain(self, name .. ".erl", self.connection:call(call[1], call[2], call[3], timeout or CALL_TIMEOUT))
end

local ERROR = shape.is(atom "error")
local CHECKED = shape.either(
  shape.tuple(shape.is(atom "value"), shape.any), shape.tuple(shape.is(atom "value"), shape.any, shape.any),
  shape.tuple(ERROR, shape.tuple(shape.any, shape.atom, shape.any)))

-- Text that may be no Erlang: `{value, ...}`.
local function evaluate(self, call, timeout)
  local answer, message, code, reason = shape.expect(self, "what Erlang text comes to", CHECKED,
    explain(self, "the Erlang text", self.connection:call(call[1], call[2], call[3], timeout or CALL_TIMEOUT)))
  if answer == nil then return nil, message, code, reason end
  if not ERROR(answer[1]) then return answer end
  return nil, "not Erlang: " .. escape.line(term.format(answer[2])), "syntax", answer[2]
end

--- Evaluates Erlang expressions on the node: `"1 + X."`, with variables bound.
--
-- Give no `receive` an `after` in them: evaluated, it can crash the whole node (a fault of Erlang's `erl_eval`, up to OTP 29).
-- `erlang:start_timer` sends a message instead.
-- @string text expressions, with their full stop
-- @tparam[opt] table bindings `{ X = term }`
-- @tparam[opt=5000] number timeout ms
-- @return[1] the value of the last one
-- @return[2] nil, message, code; "syntax" where they are no Erlang, and then the reason: `{Location, Module, Descriptor}`
function node:eval(text, bindings, timeout)
  local answer, message, code, reason = evaluate(self, erlang().checked(text, bindings), timeout)
  if not answer then return nil, message, code, reason end
  return answer[2]
end

--- The same, with variables that stay bound, as the Erlang shell has them.
-- @string text expressions, with their full stop
-- @tparam[opt] list variables what this function gave before
-- @tparam[opt=5000] number timeout ms
-- @return[1] the value of the last one
-- @return[1] the variables that are bound now, for the next time
-- @return[2] nil, message, code, reason
function node:eval_with_variables(text, variables, timeout)
  local answer, message, code, reason = evaluate(self, erlang().with_variables(text, variables or list {}), timeout)
  if not answer then return nil, message, code, reason end
  return answer[2], answer[3]
end

return node
