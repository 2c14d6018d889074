-- What may be asked of a node, on a real one; what only the C core does is in core_spec.lua.

local relup = require "edeliver.relup"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local text = require "edeliver.relup.node.erlang"
local erlang_node = require "support.node"
local process = require "support.process"

local atom, tuple, charlist = term.atom, term.tuple, term.charlist

describe("node", function()
  local node
  local erlang = shared(erlang_node.start)
  setup(function() node = erlang:connect() end)
  teardown(function() node:close() end)

  -- Processes that answer sys messages, as a pid set.
  local function servers(count)
    return node:pids(assert(node:eval(([[
      lists:map(fun(_) -> {ok, P} = gen_event:start(), P end, lists:seq(1, %d)).]]):format(count))))
  end

  it("says what it is, and whether it is connected", function()
    assert.equal(("node %s (connected)"):format(erlang.name), tostring(node))
    assert.is_true(node:is_open())
    assert.equal("pid", term.kind(node:self()))
  end)

  it("calls functions", function()
    assert.equal(charlist "25", node:call("erlang", "integer_to_list", { 25 }))
    assert.equal(erlang.name, node:call("erlang", "node").name)
    assert.is_false(node:call("erlang", "is_atom", { 1 }))
  end)

  it("tells errors, exits and throws apart, with the reason as a term", function()
    local value, message, code, reason = node:call("erlang", "list_to_atom", { "binary" })
    assert.is_nil(value)
    assert.equal("error", code)
    assert.equal(atom "badarg", reason)
    assert.equal(("erlang:list_to_atom/1 failed on %s: error:badarg"):format(erlang.name), message)
    assert.same({ "throw", 42 }, { select(3, node:call("erlang", "throw", { 42 })) })
    assert.same({ "exit", atom "why" }, { select(3, node:call("erlang", "exit", { atom "why" })) })
    assert.equal(atom "undef", select(4, node:call("no_module", "none")))
  end)

  it("gives a call up at its deadline, and never takes its answer for another's", function()
    assert.same({ "timeout" }, { select(3, node:call("timer", "sleep", { 600 }, 20)) })
    for i = 1, 5 do assert.equal(i, node:call("erlang", "abs", { -i })) end
    node:sleep(700)
    assert.equal(7, node:call("erlang", "abs", { -7 }))
  end)

  it("has several calls in flight, answered in any order", function()
    local gate = node:eval [[spawn(fun() ->
      receive {'$gen_call', From, pass} -> receive open -> gen_server:reply(From, ok) end end
    end).]]
    local slow = node:request("gen_server", "call", { gate, atom "pass", atom "infinity" })
    local quick = node:request("erlang", "abs", { -1 })
    assert.equal(1, node:await(quick))
    assert.equal("timeout", select(3, node:await(slow, 10)))
    node:send(gate, atom "open")
    assert.equal(atom "ok", node:await(slow))
    assert.has_error(function() node:await(slow) end)
  end)

  it("maps a function over a list in one call", function()
    assert.equal(term.list { 1, 2, 3 }, node:map("erlang", "abs", { -1, 2, -3 }))
  end)

  it("casts, and sends to pids and names", function()
    assert.is_true(node:cast("erlang", "register", { atom "cast_was_here", node:call("erlang", "whereis", { atom "init" }) }))
    local self = node:self()
    assert.is_true(node:cast("erlang", "send", { self, tuple { atom "hello", 1 } }))
    assert.equal(tuple { atom "hello", 1 }, node:receive(2000))
    local echo = assert(node:eval("spawn(fun() -> register(echo, self()), receive {From, M} -> From ! {got, M} end end)."))
    assert.is_true(node:send(echo, tuple { self, "by pid" }))
    assert.equal(tuple { atom "got", "by pid" }, node:receive(2000))
    assert(node:eval("register(echo2, spawn(fun() -> receive {From, M} -> From ! {got, M} end end))."))
    assert.is_true(node:send("echo2", tuple { self, "by name" }))
    assert.equal(tuple { atom "got", "by name" }, node:receive(2000))
  end)

  it("receives nothing in time", function()
    local value, message, code = node:receive(10)
    assert.is_nil(value)
    assert.matches(erlang.name, message, 1, true)
    assert.equal("timeout", code)
  end)

  it("monitors", function()
    local pid = assert(node:eval("spawn(fun() -> receive stop -> exit(stopped) end end)."))
    local reference = assert(node:monitor(pid))
    node:send(pid, atom "stop")
    assert.equal(tuple { atom "DOWN", reference, atom "process", pid, atom "stopped" }, node:receive(2000))
    reference = assert(node:monitor(pid))
    assert.equal(tuple { atom "DOWN", reference, atom "process", pid, atom "noproc" }, node:receive(2000))
    local living = servers(1)[1]
    reference = assert(node:monitor(living))
    node:demonitor(reference)
    node:call("erlang", "exit", { living, atom "kill" })
    assert.equal("timeout", select(3, node:receive(50)))
  end)

  it("lists processes in a pid set", function()
    local pids = assert(node:processes())
    assert.equal(node:call("erlang", "system_info", { atom "process_count" }), #pids)
    local init = node:call("erlang", "whereis", { atom "init" })
    assert.is_true(pids:has(init))
    assert.equal(init, pids:filter(function(pid) return pid == init end)[1])
  end)

  it("reads many processes, and one", function()
    local pids = servers(3)
    node:call("erlang", "exit", { pids[2], atom "kill" })
    local infos = assert(node:process_info(pids, { "message_queue_len", "current_function" }))
    assert.equal(0, infos[1].message_queue_len)
    assert.is_false(infos[2])
    assert.equal("gen_event", infos[3].current_function[1].name)
    assert.equal(0, node:process_info(pids[1], { "message_queue_len" }).message_queue_len)
    assert.is_false(node:process_info(pids[2], { "message_queue_len" }))
    assert.has_error(function() node:process_info(pids, { "messages" }) end)
  end)

  it("suspends and resumes many, and finds who is suspended", function()
    local pids = servers(50)
    assert.equal("ok", node:bulk_suspend(pids))
    assert.equal(50, #node:suspended():both(pids))
    assert.equal(50, erlang:suspended())
    assert.equal("ok", node:bulk_resume(pids))
    assert.equal(0, #node:suspended())
    assert.equal("ok", node:bulk_resume {})
  end)

  -- Of each behaviour two processes, one of which hibernates as soon as it can, by what OTP offers for it.
  local function sleepers()
    return node:pids(assert(node:eval([=[
      Forms = [begin {ok, Tokens, _} = erl_scan:string(Text), {ok, Form} = erl_parse:parse_form(Tokens), Form end || Text <- [
        "-module(edr_sleeper).",
        "-export([init/1, callback_mode/0, handle_event/4, handle_call/3, handle_cast/2, handle_info/2, code_change/4]).",
        "init(statem) -> {ok, idle, none}; init(server) -> {ok, none}; init(sleeping) -> {ok, none, hibernate}.",
        "callback_mode() -> handle_event_function.",
        "handle_event(_, _, _, _) -> keep_state_and_data.",
        "code_change(_, State, Data, _) -> {ok, State, Data}.",
        "handle_call(_, _, State) -> {reply, ok, State}.",
        "handle_cast(_, State) -> {noreply, State}.",
        "handle_info(_, State) -> {noreply, State}."]],
      {ok, Module, Binary} = compile:forms(Forms),
      {module, Module} = code:load_binary(Module, "edr_sleeper.beam", Binary),
      Starts = [gen_server:start(Module, server, []), gen_server:start(Module, sleeping, []),
                gen_server:start(Module, server, [{hibernate_after, 1}]),
                gen_statem:start(Module, statem, []), gen_statem:start(Module, statem, [{hibernate_after, 1}]),
                gen_event:start(), gen_event:start([{hibernate_after, 1}])],
      [Pid || {ok, Pid} <- Starts].
    ]=])))
  end

  it("tells the hibernating that may be suspended from those that are not", function()
    local pids = sleepers()
    assert.equal(7, #pids)
    local function shown(want_suspended, want_hibernating)
      return process.wait_until(function()
        local suspended, perhaps, asleep = node:suspended(pids)
        return #suspended == want_suspended and #perhaps + #asleep == want_hibernating
      end)
    end
    assert.is_true(shown(0, 4))
    assert.equal("ok", node:bulk_suspend(pids))
    -- Some hibernate again as soon as they are suspended: nothing shows that. Of those that show it, none is.
    local suspended, perhaps, asleep
    assert.is_true(process.wait_until(function()
      suspended, perhaps, asleep = node:suspended(pids)
      return #suspended + #perhaps == 7
    end))
    assert.is_true(#suspended >= 3)
    assert.equal(0, #asleep)
    assert.equal("ok", node:bulk_resume(pids))
    assert.is_true(shown(0, 4))
  end)

  it("evaluates Erlang", function()
    assert.equal(42, node:eval("X + 1.", { X = 41 }))
    -- erl_eval finds no variable in bindings that are out of order; Lua keeps none.
    local names, sum = { A = 1, B = 2, C = 3, D = 4, E = 5, F = 6, G = 7, H = 8 }, "A + B + C + D + E + F + G + H."
    assert.equal(36, node:eval(sum, names))
    local value, message, code = node:eval "1 +."
    assert.is_nil(value)
    assert.matches("not Erlang", message, 1, true)
    assert.equal("syntax", code)
  end)

  it("can be polled by an event loop", function()
    assert.equal("integer", math.type(node:pollfd()))
    assert.equal("r", node:events())
    assert.is_nil(node:timeout())
    node:cast("erlang", "send", { node:self(), atom "ping" })
    local deadline = os.time() + 5
    repeat
      assert.is_true(node:pump())
      local message = node:receive(0)
    until message == atom "ping" or assert(os.time() < deadline)
  end)

  it("closes with its scope, and opens again", function()
    local kept
    do
      local own <close> = erlang:connect()
      kept = own
      assert.equal("integer", math.type(own:pollfd()))
    end
    assert.is_false(kept:is_open())
    assert.is_nil(kept:pollfd())
    assert.equal("closed", select(3, kept:call("erlang", "node")))
    kept:close()
    assert.is_true(kept:reconnect())
    assert.equal(erlang.name, kept:call("erlang", "node").name)
    kept:close()
  end)

  it("raises for what is no option and no argument", function()
    assert.has_error(function() relup.connect(erlang.name, { coookie = "x" }) end, 'connect has no option "coookie"')
    assert.has_error(function() relup.connect(42) end)
    assert.has_error(function() node:call("erlang", "abs", { print }) end)
    assert.has_error(function() node:bulk_suspend { 1, 2 } end)
  end)

  it("ends acts that were given up, by a timeout or because nobody has them any more", function()
    local function begin(name, timeout)
      local call = text.checked(("register(%s, self()), timer:sleep(infinity)."):format(name))
      return node:act(call[1], call[2], call[3], timeout)
    end
    assert.equal("timeout", select(3, begin("first", 0)))
    assert.equal("timeout", select(3, begin("second", 200)))
    collectgarbage()
    assert.equal("pid", term.kind(node:call("erlang", "whereis", { atom "second" })))
    assert.is_true(node:end_acts())
    for _, name in ipairs { "first", "second" } do
      assert.equal(atom "undefined", node:call("erlang", "whereis", { atom(name) }))
    end
    assert.is_true(node:end_acts())
    assert.equal(3, node:act("erlang", "abs", { -3 }))
    assert.equal("error", select(3, node:act("erlang", "abs", { atom "x" })))
  end)

  it("comes back only when the node has forgotten the old connection, of whose end it may know nothing", function()
    local lost = erlang:connect()
    local old = lost.connection
    local call = text.checked "register(behind, self()), timer:sleep(infinity)."
    assert.equal("timeout", select(3, lost:act(call[1], call[2], call[3], 200)))
    lost.connection = { close = function() end }
    assert.is_true(lost:reconnect())
    assert.equal(atom "undefined", lost:call("erlang", "whereis", { atom "behind" }))
    assert.same({ nil, "nodedown" }, { old:call("erlang", "node", {}), (select(3, old:call("erlang", "node", {}))) })
    lost:close()
  end)

  it("says so where the node has no room for a process, and nothing was sent", function()
    local small <close> = erlang_node.start { args = { "+P", "1024" } }
    local its <close> = small:connect()
    local pids = its:pids(assert(its:eval "[element(2, gen_event:start()) || _ <- [1, 2, 3]]."))
    assert.equal("ok", (its:bulk_resume(pids, 5000)))
    local many = its:pids(assert(its:eval [=[
      [begin {Pid, Monitor} = spawn_monitor(erlang, node, []), receive {'DOWN', Monitor, _, _, _} -> Pid end end
       || _ <- lists:seq(1, 9000)].]=]))
    local filling = text.checked [=[
      Fill = fun Fill(Sofar) -> try Fill([spawn(timer, sleep, [infinity]) | Sofar]) catch error:system_limit -> Sofar end end,
      Filled = Fill([]), timer:sleep(3000), [exit(P, kill) || P <- Filled].]=]
    assert(its:cast(filling[1], filling[2], filling[3]))
    assert(process.wait_until(function() return select(3, its:call("erlang", "node", {})) == "error" end))
    local answer, message, code, sent = its:bulk_suspend(pids, 1000)
    assert.same({ nil, "system_limit", false }, { answer, code, sent })
    assert.matches("^the node has no room for another process", message)
    assert.equal("system_limit", select(3, its:suspended(pids)))
    assert.same({ nil, "system_limit", false }, { its:bulk_suspend(many, 1000), select(3, its:bulk_suspend(many, 1000)) })
  end)
end)
