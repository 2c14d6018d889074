-- The guard, on a real node: that it undoes for a lost operator, and for nobody else.

local calls = require "edeliver.relup.undo.call_in_flight"
local core = require "edeliver.relup.core"
local guard = require "edeliver.relup.undo.guard"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local erlang_text = require "edeliver.relup.node.erlang"
local erlang_node = require "support.node"
local process = require "support.process"

local atom, tuple, list = term.atom, term.tuple, term.list

local GRACE = 300

describe("guard", function()
  local node
  local erlang = shared(erlang_node.start)
  setup(function() node = erlang:connect() end)
  teardown(function() node:close() end)

  -- One that a spec has left behind would spoil all that follow.
  after_each(function()
    local left = node:call("erlang", "whereis", { atom(guard.NAME) })
    if term.kind(left) == "pid" then node:call("erlang", "exit", { left, atom "kill" }) end
    node:fence(nil)
  end)

  -- Processes that answer sys messages.
  local function servers(count)
    return node:pids(assert(node:eval(("[begin {ok, P} = gen_event:start(), P end || _ <- lists:seq(1, %d)]."):format(count))))
  end

  local function wait_until_gone(timeout)
    return process.wait_until(function() return guard.who(node) == false end, timeout or GRACE + 2000)
  end

  -- The node's log is written by a process of its own.
  local function check_logged(pattern)
    process.wait_until(function() return erlang:printed():find(pattern) end)
    assert.matches(pattern, erlang:printed())
  end

  -- A call whose undoing can be seen: it puts a word into the node's environment.
  local function noting(word)
    return { undo = { "application", "set_env", { atom "kernel", atom(word), true } },
      term = tuple { atom "application", atom "set_env", list { atom "kernel", atom(word), true } } }
  end

  local function noted(word)
    local answer = node:call("application", "get_env", { atom "kernel", atom(word) })
    node:call("application", "unset_env", { atom "kernel", atom(word) })
    return term.kind(answer) == "tuple"
  end

  -- Fills the process table up, and makes room again after so many ms.
  local function filling_the_table(ms)
    return erlang_text.checked((([=[
      Fill = fun Fill(Sofar) -> try Fill([spawn(timer, sleep, [infinity]) | Sofar]) catch error:system_limit -> Sofar end end,
      Keep = fun Keep(Sofar, Until) ->
        case erlang:monotonic_time(millisecond) < Until of
          true -> timer:sleep(1), Keep(Fill(Sofar), Until);
          false -> Sofar
        end
      end,
      Filled = Keep(Fill([]), erlang:monotonic_time(millisecond) + MS), persistent_term:put(full, length(Filled)),
      persistent_term:put(suspended, length([P || P <- processes(), {current_function, {sys, suspend_loop, _}} <-
          [process_info(P, current_function)]])),
      [exit(P, kill) || P <- Filled].]=]):gsub("MS", ms)))
  end

  it("loads no code, prints to the node's own log, and leaves when it is told", function()
    local before = assert(node:call("erlang", "length", { assert(node:call("code", "all_loaded")) }))
    local one = assert(guard.start(node, { who = "ann" }))
    assert.equal("here", guard.who(node).status)
    assert.matches("^ann as ", guard.who(node).who)
    local infos = node:process_info(one.pid, { "group_leader", "registered_name", "priority" })
    assert.equal(node:call("erlang", "whereis", { atom "init" }), infos.group_leader)
    assert.equal(atom "edeliver_relup", infos.registered_name)
    assert.equal(atom "high", infos.priority)
    assert.truthy(one:leave())
    assert.is_false(guard.who(node))
    -- Modules of stdlib may have been loaded, as in any use of them; none is ours.
    local loaded = assert(node:call("code", "all_loaded"))
    assert.is_true(#loaded >= before)
    for _, module in ipairs(loaded) do assert.is_nil(tostring(module[1]):find "edeliver") end
  end)

  it("refuses a second run, with the name of the first", function()
    local one = assert(guard.start(node, { who = "ann" }))
    local two, message, code = guard.start(node, { who = "bob" })
    assert.is_nil(two)
    assert.equal("busy", code)
    assert.matches("^Another upgrade, started by ann as .*, is active on .*%. Nothing was changed$", message)
    one:leave()
    two = assert(guard.start(node, { who = "bob" }))
    two:leave()
  end)

  it("is not mistaken for another process of its name that answers nothing", function()
    assert(erlang:eval "Mute = spawn(fun() -> register(edeliver_relup, self()), receive stop -> ok end end), Mute")
    local found, message, code = guard.who(node)
    erlang:eval "edeliver_relup ! stop"
    assert.same({ nil, "busy" }, { found, code })
    assert.matches("^The process edeliver_relup on .* does not answer as a guard does", message)
  end)

  it("obeys nobody who does not know its token", function()
    local one = assert(guard.start(node))
    local stranger = setmetatable({ token = "guessed" }, { __index = one })
    local answer, _, code = stranger:leave()
    assert.is_nil(answer)
    assert.equal("guard_refused", code)
    assert.truthy(one:leave())
  end)

  it("resumes everybody, then undoes the last act first, when the operator is gone", function()
    local pids = servers(1000)
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { who = "ann", grace = GRACE }))
    assert(one:suspend(pids))
    local first, second = noting "first", noting "second"
    second.undo = { "erlang", "apply", {} }
    second.term = tuple { atom "lists", atom "foreach", list {
      term.export("erlang", "garbage_collect", 1), list {} } }
    assert(one:apply { first, second })
    assert.equal("ok", (operator:bulk_suspend(pids, 5000)))
    assert.equal(1000, #node:suspended(pids))
    operator:close()
    assert.truthy(wait_until_gone())
    assert.equal(0, #node:suspended(pids))
    assert.is_true(noted "first")
    check_logged "ann as .* did not come back: resumed 1000 processes %(1000 of them confirmed it%), made 2 calls"
  end)

  it("resumes those, too, whose suspend comes after its resume, or who hibernated before", function()
    local late = assert(node:eval [[
      spawn(fun() ->
        receive {system, {To, Tag}, resume} -> To ! {Tag, ok} end,
        timer:sleep(50),
        register(late, self()),
        Misc = [self(), none, lists, infinity, infinity],
        sys:handle_system_msg(suspend, {spawn(fun() -> ok end), tag}, self(), gen_server, [], Misc)
      end).]])
    local asleep = assert(node:eval "{ok, P} = gen_event:start([{hibernate_after, 1}]), P.")
    local function sleeps() return node:process_info(asleep, { "current_function" }).current_function[2] == atom "hibernate" end
    assert.truthy(process.wait_until(sleeps))
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { who = "ann", grace = GRACE }))
    assert(one:suspend(node:pids { late, asleep }))
    -- What hands out its suspend is late as well: the guard's first resume finds nobody suspended.
    assert(node:eval([[
      spawn(fun() ->
        Seen = fun F() -> case whereis(late) of undefined -> timer:sleep(5), F(); _ -> ok end end,
        Seen(), Asleep ! {system, {spawn(fun() -> ok end), tag}, suspend}
      end).]], { Asleep = asleep }))
    operator:close()
    assert.truthy(wait_until_gone())
    assert.not_equal(atom "undefined", node:call("erlang", "whereis", { atom "late" }))
    assert.equal(0, #node:suspended())
    local status = assert(node:call("sys", "get_status", { asleep }))
    assert.equal(atom "running", status[4][2])
    for _, pid in ipairs { late, asleep } do node:call("erlang", "exit", { pid, atom "kill" }) end
  end)

  -- A call that fails, or does not return, before it works.
  local keys = 0
  local function works_at_last(how)
    keys = keys + 1
    local fun = assert(node:eval(([[
      fun() -> Tries = persistent_term:get({tries, %d}, 0) + 1, persistent_term:put({tries, %d}, Tries),
        case Tries of 3 -> ok; _ -> %s end end.]]):format(keys, keys, how)))
    return { term = tuple { atom "erlang", atom "apply", list { fun, list {} } } }
  end

  it("tries again what failed, until it worked; the other calls are made meanwhile", function()
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { who = "ann", grace = GRACE }))
    assert(one:apply { noting "despite_failure", works_at_last "error(oops)", works_at_last "{error, oops}" })
    operator:close()
    assert.truthy(process.wait_until(function() return (guard.who(node) or {}).status == "retries" end))
    assert.is_true(noted "despite_failure")
    local two, message, code = guard.start(node, { who = "bob" })
    assert.is_nil(two)
    assert.equal("busy", code)
    assert.matches("its guard has not been able to undo everything: 0 processes, %d calls?%. It tries again", message)
    assert.truthy(wait_until_gone())
    check_logged "these calls failed: .*oops.*; tries again"
    check_logged "ann as .*: what was left has been undone, with try 3"
  end)

  it("tells whoever asks it to undo what it could not", function()
    local one = assert(guard.start(node))
    assert(one:apply { works_at_last "{error, oops}" })
    local undone, message, code = one:undo()
    assert.is_nil(undone)
    assert.equal("guard_retries", code)
    assert.matches("could not undo everything %(left: 0 processes, 1 call%)", message)
    assert.truthy(wait_until_gone())
  end)

  it("does not wait for calls that never return", function()
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { grace = GRACE }))
    assert(one:apply { noting "behind", { term = tuple { atom "timer", atom "sleep", list { 60000 } } } })
    operator:close()
    assert.truthy(process.wait_until(function() return noted "behind" end, GRACE + 5000 + 5000))
    node:call("erlang", "exit", { node:call("erlang", "whereis", { atom(guard.NAME) }), atom "kill" })
    assert.truthy(wait_until_gone())
  end)

  -- The node has as many processes as it can have: nothing can be spawned, by nobody.
  it("undoes on a node that is out of processes", function()
    local full <close> = erlang_node.start { args = { "+P", "1024" } }
    local function to_full() return full:connect() end
    local operator, observer <close> = to_full(), to_full()
    local pids = observer:pids(assert(observer:eval "[element(2, gen_event:start()) || _ <- lists:seq(1, 50)]."))
    local one = assert(guard.start(operator, { grace = GRACE }))
    assert(one:suspend(pids))
    local needs_room = assert(observer:eval "fun() -> spawn(timer, sleep, [infinity]), persistent_term:put(made, yes) end.")
    assert(one:apply { { term = tuple { atom "erlang", atom "apply", list { needs_room, list {} } } } })
    assert.equal("ok", (operator:bulk_suspend(pids, 5000)))
    local filling = filling_the_table(2500)
    assert(observer:cast(filling[1], filling[2], filling[3]))
    operator:close()
    assert.truthy(process.wait_until(function() return observer:eval "persistent_term:get(made)." == atom "yes" end, 8000))
    assert.equal(0, observer:eval "persistent_term:get(suspended).")
    assert.is_true(observer:eval "persistent_term:get(full)." > 500)
    assert.truthy(process.wait_until(function() return guard.who(observer) == false end))
  end)

  it("has nothing to undo of what was settled", function()
    local pids = servers(10)
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { grace = GRACE }))
    assert(one:suspend(pids))
    local entry = noting "settled"
    assert(one:apply { entry })
    assert(one:owe(node:pids { pids[1] }))
    assert(one:undone(entry))
    assert.equal("ok", (node:bulk_suspend(pids, 5000)))
    operator:close()
    assert.truthy(wait_until_gone())
    assert.equal(9, #node:suspended(pids))
    assert.is_false(noted "settled")
    node:bulk_resume(pids, 5000)
  end)

  it("takes an operator back within the grace period, also under another name", function()
    local pids = servers(10)
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { who = "ann", grace = 2000 }))
    assert(one:suspend(pids))
    assert.equal("ok", (operator:bulk_suspend(pids, 5000)))
    local former = operator:self()
    operator:close()
    assert.truthy(process.wait_until(function() return guard.who(node).status == "gone" end))
    assert.is_true(one:come_back())
    assert.are_not.equal(former, operator:self())
    assert.equal("here", guard.who(node).status)
    process.sleep(2300)
    assert.equal(10, #node:suspended(pids))
    -- The new connection is watched as the first one was.
    operator:close()
    assert.truthy(wait_until_gone(4000))
    assert.equal(0, #node:suspended(pids))
  end)

  it("tells an operator who comes back too late", function()
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { grace = 100 }))
    operator:close()
    assert.truthy(wait_until_gone())
    local back, message, code = one:come_back()
    assert.is_nil(back)
    assert.equal("guard_gone", code)
    assert.matches("the guard on .* is gone", message)
    operator:close()
  end)

  it("counts an operator as lost who is connected and gives no sign of life", function()
    local pids = servers(10)
    local operator <close> = erlang:connect()
    local one = assert(guard.start(operator, { who = "ann", grace = GRACE, lease = 600 }))
    assert(one:suspend(pids))
    assert.equal("ok", (operator:bulk_suspend(pids, 5000)))
    -- Its program waits, and its connection is looked after meanwhile: that is a sign.
    operator:sleep(1500)
    assert.equal("here", guard.who(node).status)
    -- It does something else, as a program that is stopped: nobody answers.
    assert.truthy(process.wait_until(function() return guard.who(node) == false end, 600 + 200 + GRACE + 2000))
    assert.equal(0, #node:suspended(pids))
    check_logged "gives no sign of life"
    -- It has cut the connection before: nothing that was sent over it may arrive any more.
    assert.equal("nodedown", select(3, one:suspend(pids)))
    assert.equal("guard_gone", select(3, one:come_back()))
    assert.equal("fenced", select(3, operator:bulk_suspend(pids, 5000)))
    assert.equal(0, #node:suspended(pids))
  end)

  it("lets an operator go on who was only slow", function()
    local pids = servers(1)
    local operator <close> = erlang:connect()
    local one = assert(guard.start(operator, { grace = 3000, lease = 300 }))
    assert(one:suspend(pids))
    assert.truthy(process.wait_until(function() return guard.who(node).status == "gone" end, 3000))
    operator:sleep(300)
    assert(one:suspend(pids))
    assert.equal("here", guard.who(node).status)
    one:leave()
  end)

  it("leaves when the operator who started it never says hello", function()
    local one = guard.new(node)
    function one.ask() error "interrupted by SIGINT" end
    assert.is_false((pcall(one.begin, one)))
    assert.truthy(process.wait_until(function()
      local who = guard.who(node)
      return who and who.status == "new"
    end))
    assert.truthy(wait_until_gone(5000 + 2000))
  end)

  it("undoes at once when it is asked to", function()
    local pids = servers(10)
    local one = assert(guard.start(node, { who = "ann" }))
    assert(one:suspend(pids))
    assert(one:apply { noting "asked_for" })
    assert.equal("ok", (node:bulk_suspend(pids, 5000)))
    assert.truthy(one:undo())
    assert.is_false(guard.who(node))
    assert.equal(0, #node:suspended(pids))
    assert.is_true(noted "asked_for")
  end)

  it("survives exit signals and strange messages", function()
    local one = assert(guard.start(node))
    node:call("erlang", "exit", { one.pid, atom "shutdown" })
    node:send("edeliver_relup", atom "nonsense")
    node:send("edeliver_relup", tuple { atom "DOWN", 1, 2, 3, 4 })
    assert.is_nil((one:ask(tuple { atom "no", atom "such", atom "request" })))
    assert.equal("here", guard.who(node).status)
    one:leave()
  end)

  it("that is killed lets nothing more be suspended", function()
    local one = assert(guard.start(node))
    node:call("erlang", "exit", { one.pid, atom "kill" })
    local told, message, code = one:suspend(node:pids {})
    assert.is_nil(told)
    assert.equal("guard_gone", code)
    assert.matches("is gone: ", message)
  end)

  describe("with a call that it makes", function()
    -- A function that calls the guard as a relup does, so many times, and gives what came of it.
    local function calling(count)
      return { "lists", "map", { assert(node:eval([[
        fun(N) -> try gen_server:call(edeliver_relup, {run, step, [N]}, infinity) catch exit:Reason -> {exit, Reason} end end.
      ]])), assert(node:call("lists", "seq", { 1, count })) } }
    end

    -- Gives what came of it, or what kept us from waiting, as `node:call`; and the call in flight.
    local function perform(one, call, options, timeout)
      local flight = calls.new {
        guard = one, claim = function() return one:come_back() end,
        before = options.before, within = options.within, serve = options.serve,
      }
      one.flight = flight
      assert(flight:begin(call[1], call[2], call[3]))
      return flight:wait(core.now() + (timeout or 5000))
    end

    -- What a process kept in the node's environment of the answer that it got.
    local function kept(name) return term.format(node:call("application", "get_env", { atom "kernel", atom(name) })) end

    it("gives what it returned, and what it raised", function()
      local one = assert(guard.start(node))
      assert.equal(3, perform(one, { "erlang", "+", { 1, 2 } }, {}))
      local value, message, code, reason = perform(one, { "erlang", "error", { atom "oops" } }, {})
      assert.is_nil(value)
      assert.matches("erlang:error on .* failed: .*oops", message)
      assert.equal("exit", code)
      assert.matches("oops", term.format(reason))
      one:leave()
    end)

    it("passes the relup's calls on, and their answers back", function()
      local one = assert(guard.start(node))
      local served = {}
      local answer = assert(perform(one, calling(3), { serve = function(name, arguments)
        served[#served + 1] = name .. arguments[1]
        return true
      end }))
      assert.same({ "step1", "step2", "step3" }, served)
      assert.equal("[ok,ok,ok]", term.format(answer))
      one:leave()
    end)

    it("fails a call before the point of no return, and none after it", function()
      local one = assert(guard.start(node))
      local answer = assert(perform(one, calling(3), { before = 2, serve = function(_, arguments)
        if arguments[1] == 1 then return true end
        return nil, "step " .. arguments[1] .. " went wrong"
      end }))
      one:leave()
      local text = term.format(answer)
      assert.matches('^%[ok,{exit,{{edeliver_relup,<<"step 2 went wrong">>},', text)
      assert.matches(',{error,<<"step 3 went wrong">>}%]$', text)
    end)

    it("is told what a call came to, and ends, on a node that is out of processes for a while", function()
      local small <close> = erlang_node.start { args = { "+P", "1024" } }
      local its <close> = small:connect()
      local one = assert(guard.start(its))
      local flight = calls.new {
        guard = one, claim = function() return one:come_back() end,
        serve = function()
          local filling = filling_the_table(800)
          assert(its:cast(filling[1], filling[2], filling[3]))
          assert(process.wait_until(function() return select(3, its:call("erlang", "node", {})) == "error" end))
          return nil, "the step went wrong"
        end,
      }
      local call = atom "edeliver_relup"
      assert(flight:begin("gen_server", "call", { call, tuple { atom "run", atom "step", list {} }, atom "infinity" }))
      local answer, message, code = flight:wait(core.now() + 10000)
      assert.same({ nil, "exit", "ended" }, { answer, code, flight.state })
      assert.matches("the step went wrong", message)
      assert.truthy(process.wait_until(function() return one:leave() end))
    end)

    it("can be given up; then the relup's calls are cancelled before the point of no return", function()
      local one = assert(guard.start(node))
      local slow = { "lists", "map", { assert(node:eval([[
        fun(N) -> timer:sleep(300), Result = (catch gen_server:call(edeliver_relup, {run, step, [N]}, infinity)),
          application:set_env(kernel, given_up, Result), Result end.]])), list { 1 } } }
      local answer, _, code = perform(one, slow, {}, 50)
      assert.is_nil(answer)
      assert.equal("timeout", code)
      one:leave()
      assert.equal("lost", guard.who(node).status)
      assert.truthy(wait_until_gone())
      assert.matches("the operator is gone", kept "given_up")
    end)

    it("answers for a lost operator: fails before the point of no return, ok after all is undone past it", function()
      local pids = servers(10)
      for _, case in ipairs { { before = 1, expected = "the operator is gone" }, { before = 0, expected = "{ok,ok}" } } do
        local operator = erlang:connect()
        local one = assert(guard.start(operator, { grace = GRACE }))
        assert(one:suspend(pids))
        assert.equal("ok", (node:bulk_suspend(pids, 5000)))
        local called = { "lists", "foreach", { assert(node:eval([[
          fun(N) ->
            Answer = (catch gen_server:call(edeliver_relup, {run, step, [N]}, infinity)),
            application:set_env(kernel, answered, Answer)
          end.
        ]])), list { 1 } } }
        assert(pcall(function()
          perform(one, called, { before = case.before, serve = function()
            operator:close()
            error "the operator's program ends here"
          end })
        end) == false)
        assert.truthy(wait_until_gone())
        assert.equal(0, #node:suspended(pids))
        assert.matches(case.expected, kept "answered", 1, true)
      end
    end)

    -- A call that ends when it is told to.
    local function waiting()
      return { "erlang", "apply", { assert(node:eval [[
        fun() -> register(performed, self()), receive go -> gone_on after 20000 -> stuck end end.]]), list {} } }
    end

    local function wait_for_call()
      assert.truthy(process.wait_until(function()
        return term.kind(node:call("erlang", "whereis", { atom "performed" })) == "pid"
      end))
    end

    -- Suspends processes, has a call made, and is gone.
    local function lost_operator(pids, call, options)
      local operator = erlang:connect()
      local one = assert(guard.start(operator, { who = "ann", grace = 100, patience = options.patience }))
      assert(one:suspend(pids))
      assert.equal("ok", (node:bulk_suspend(pids, 5000)))
      perform(one, call, options, 50)
      operator:close()
      assert.truthy(process.wait_until(function() return guard.who(node).status == "lost" end))
    end

    it("undoes nothing in the middle of it for a lost operator, but when it has ended", function()
      local pids = servers(10)
      lost_operator(pids, waiting(), {})
      assert.equal(10, #node:suspended(pids))
      assert.equal(10, guard.who(node).pids)
      local two, message, code = guard.start(node, { who = "bob" })
      assert.is_nil(two)
      assert.equal("busy", code)
      assert.matches("started by ann as .* its guard undoes everything when the install has ended", message)
      node:send("performed", atom "go")
      assert.truthy(wait_until_gone())
      assert.equal(0, #node:suspended(pids))
    end)

    it("undoes in the middle of one that never ends, after its patience", function()
      local pids = servers(10)
      lost_operator(pids, waiting(), { patience = 300 })
      assert.truthy(process.wait_until(function() return #node:suspended(pids) == 0 end, 300 + 2000))
      assert.equal("lost", guard.who(node).status)
      check_logged "did not come back, and its install does not end: resumed 10 processes"
      node:send("performed", atom "go")
      assert.truthy(wait_until_gone())
    end)

    it("undoes before it answers a call that stands behind all changes, and not before an earlier one", function()
      local pids = servers(1)
      local called = { "lists", "foreach", { assert(node:eval([[
        fun(N) ->
          receive after 200 -> ok end,
          Answer = (catch gen_server:call(edeliver_relup, {run, step, [N]}, infinity)),
          {_, {_, Where, _}} = process_info(]] .. "list_to_pid(\"" .. tostring(pids[1]) .. "\")" .. [[, current_function),
          application:set_env(kernel, list_to_atom("answered" ++ integer_to_list(N)), {Answer, Where})
        end.]])), list { 1, 2 } } }
      lost_operator(pids, called, { before = 0, within = 1 })
      assert.truthy(wait_until_gone())
      assert.equal("{ok,{ok,suspend_loop}}", kept "answered1")
      assert.equal("{ok,{ok,fetch_msg}}", kept "answered2")
    end)

    it("can be given up and waited for all the same, as long as one likes", function()
      local one = assert(guard.start(node))
      local answer, _, code = perform(one, waiting(), {}, 50)
      assert.is_nil(answer)
      assert.equal("timeout", code)
      assert.equal("erlang:apply", one.flight.name)
      assert.is_false(one.flight:ended())
      local asked = 0
      answer, _, code = one.flight:outlast(math.huge, function()
        asked = asked + 1
        return asked == 2
      end)
      assert.is_nil(answer)
      assert.same({ "timeout", 2 }, { code, asked })
      local started = core.now()
      answer, _, code = one.flight:outlast(started + 300, function() end)
      assert.is_nil(answer)
      assert.equal("timeout", code)
      assert.is_true(core.now() - started >= 300)
      wait_for_call()
      node:send("performed", atom "go")
      assert.equal(atom "gone_on", (one.flight:outlast(math.huge, function() end)))
      assert.is_true(one.flight:ended())
      answer, _, code = one.flight:outlast(math.huge, function() end)
      assert.is_nil(answer)
      assert.equal("idle", code)
      one:leave()
    end)

    it("is waited for no longer than one likes, however often it calls us meanwhile", function()
      local one = assert(guard.start(node))
      local calling_on = { "erlang", "apply", { assert(node:eval [[
        fun() ->
          register(performed, self()),
          (fun Again() ->
            catch gen_server:call(edeliver_relup, {run, step, [1]}, infinity),
            receive go -> ok after 0 -> Again() end
          end)()
        end.]]), list {} } }
      local served = 0
      local _, _, code = perform(one, calling_on, { serve = function()
        served = served + 1
        assert(served < 10000)
        return true
      end }, 200)
      assert.equal("timeout", code)
      local asked = 0
      _, _, code = one.flight:outlast(math.huge, function()
        asked = asked + 1
        return asked == 100
      end)
      assert.same({ "timeout", 100 }, { code, asked })
      node:send("performed", atom "go")
      assert.equal(atom "ok", (one.flight:outlast(math.huge, function() end)))
      one:leave()
    end)

    it("gives an event again that nobody saw through", function()
      local one = assert(guard.start(node))
      assert.is_false((pcall(perform, one, calling(1), { serve = function() error "interrupted by SIGINT" end })))
      local answer = assert(one.flight:outlast(math.huge, function() end))
      assert.matches('<<"the run has ended">>', term.format(answer), 1, true)
      one:leave()
    end)

    it("keeps its result for an operator whose connection breaks meanwhile", function()
      local operator <close> = erlang:connect()
      local one = assert(guard.start(operator, { grace = 3000 }))
      local finished = { "lists", "map", { assert(node:eval [[
        fun(N) -> gen_server:call(edeliver_relup, {run, step, [N]}, infinity), N * 200 end.]]), list { 21 } } }
      local answer = perform(one, finished, { serve = function()
        operator:close()
        return true
      end })
      assert.equal("[4200]", term.format(answer or "nothing"))
      assert.equal("here", guard.who(node).status)
      one:leave()
    end)
  end)

  it("costs little", function()
    local started = core.now()
    local one = assert(guard.start(node))
    local pids = servers(1000)
    local told = core.now()
    assert(one:suspend(pids))
    local took = core.now() - told
    one:leave()
    assert.is_true(core.now() - started < 2000 * process.patience)
    assert.is_true(took < 500 * process.patience)
  end)
end)
