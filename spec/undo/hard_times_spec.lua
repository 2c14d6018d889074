-- The guard in hard times, on a real node: flooded, frozen together with its node, or raced for.

local guard = require "edeliver.relup.undo.guard"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"
local erlang_node = require "support.node"
local process = require "support.process"

local atom, tuple, list = term.atom, term.tuple, term.list
local GRACE = 300

describe("a guard in hard times", function()
  local erlang, node, pids

  local function start(arguments)
    erlang = erlang_node.start { args = arguments }
    node = erlang:connect()
    pids = node:pids(assert(node:eval "[element(2, gen_event:start()) || _ <- lists:seq(1, 50)]."))
  end

  after_each(function()
    node:close()
    erlang:stop()
  end)

  -- An operator that has suspended all of them.
  local function suspended_by_one(options)
    local operator = erlang:connect()
    local one = assert(guard.start(operator, options))
    assert(one:suspend(pids))
    assert.equal("ok", (operator:bulk_suspend(pids, 5000)))
    return operator, one
  end

  it("undoes in time though others send it messages faster than it reads them", function()
    start()
    local operator, one = suspended_by_one { grace = GRACE }
    operator:close()
    assert.truthy(process.wait_until(function() return (guard.who(node) or {}).status == "gone" end))
    assert(node:eval("[spawn(fun Flood() -> Guard ! nonsense, Flood() end) || _ <- [1, 2, 3]], ok.", { Guard = one.pid }))
    local undone = process.wait_until(function()
      local left = node:suspended(pids)
      return left and #left == 0
    end, GRACE + 5000)
    assert.truthy(undone)
  end)

  -- erl_eval's receive crashes the emulator where its time ends in the middle of a match: one of the guard's with a time of its
  -- own did that within 2 to 14 s here.
  it("does not end the node with its timers, whenever they end", function()
    start()
    local one = assert(guard.start(node, { lease = 60, grace = 20000 }))
    assert(one:suspend(pids))
    assert(node:eval([[
      Odd = fun() -> {'DOWN', make_ref(), process, self(), odd} end,
      spawn(fun Send() -> Guard ! Odd(), timer:sleep(rand:uniform(8)), Send() end), ok.]], { Guard = one.pid }))
    local until_then = process.now() + 8000
    while process.now() < until_then do
      assert(one:owe(pids))
      process.sleep(10)
    end
    assert.is_true(erlang:alive())
    assert.truthy(one:leave())
  end)

  -- A request whose process the node has not run yet when the connection breaks, as on a node that is short of time.
  it("takes nothing any more that its operator has asked for before it came back", function()
    start()
    local operator, one = suspended_by_one { grace = 3000 }
    local late = {}
    for name, request in pairs {
      owed = tuple { atom "owed", list {} }, leave = atom "leave", undone = tuple { atom "undone", 1 },
      perform = tuple { atom "perform", tuple { atom "application", atom "set_env",
        list { atom "kernel", atom "late", true } }, 0, 0 },
    } do late[name] = { one.pid, one:from_us(request), 2000 } end
    local act = { one.pid, one:from_us(atom "enter"), 2000 }
    operator:close()
    assert.is_true(one:come_back())
    for name, arguments in pairs(late) do
      local answer = node:call("gen_server", "call", arguments)
      assert.equal("{error,unknown}", term.format(answer), name)
    end
    assert.is_nil((node:call("gen_server", "call", act)))
    assert.same({ "here", 50 }, { guard.who(node).status, guard.who(node).pids })
    assert.equal(atom "undefined", node:call("application", "get_env", { atom "kernel", atom "late" }))
    -- What it asks for now is done.
    assert.equal("ok", (operator:bulk_resume(pids, 5000)))
    assert(one:owe(node:pids {}))
    assert(one:leave())
  end)

  it("is not started where a run might end the node, which has no room for more atoms", function()
    start { "+t", "16384" }
    assert(node:eval [=[
      Left = erlang:system_info(atom_limit) - erlang:system_info(atom_count) - 100,
      [list_to_atom("filler" ++ integer_to_list(I)) || I <- lists:seq(1, Left)], ok.]=])
    local one, message, code = guard.start(node)
    assert.same({ nil, "system_limit" }, { one, code })
    assert.matches("has room for only %d+ more atoms, and may end when there is none", message)
    assert.equal("ok", (node:bulk_suspend(pids, 5000)))
    assert.equal("ok", (node:bulk_resume(pids, 5000)))
  end)

  it("is not started, and a dry run is refused, on a node that has hardly room for more processes", function()
    start { "+P", "1024" }
    assert(node:eval [=[
      Left = erlang:system_info(process_limit) - erlang:system_info(process_count) - 50,
      [spawn(timer, sleep, [infinity]) || _ <- lists:seq(1, Left)], ok.]=])
    local one, message, code = guard.start(node)
    assert.same({ nil, "system_limit" }, { one, code })
    assert.matches("has room for only %d+ more processes, and may end when there is none", message)
    local report, why = relup.sequence({ "check_ranch_acceptors" }):run(node, { name = "myapp", dry_run = true })
    assert.is_nil(report)
    assert.matches("has room for only %d+ more processes", why)
  end)

  it("outgrows the heap that a node allows its processes", function()
    start { "+hmax", "262144" }
    local operator = erlang:connect()
    local one = assert(guard.start(operator, { grace = GRACE }))
    local many = {}
    for i = 1, 100 do
      for j, pid in pids:iter() do many[(i - 1) * #pids + j] = pid end
    end
    local suspend = tuple { atom "suspend", list(many) }
    for _ = 1, 40 do assert(one:ask(suspend)) end
    assert.equal("ok", (operator:bulk_suspend(pids, 5000)))
    operator:close()
    assert.truthy(process.wait_until(function() return guard.who(node) == false end, GRACE + 5000))
    assert.equal(0, #node:suspended(pids))
  end)

  describe("of a node that was frozen for longer than lease and grace", function()
    local LEASE = 600

    local function freeze(meanwhile)
      erlang.process:signal "STOP"
      process.sleep(LEASE + GRACE + 500)
      if meanwhile then meanwhile() end
      erlang.process:signal "CONT"
    end

    it("takes an operator for lost only when it has been asked again", function()
      start()
      local operator, one = suspended_by_one { grace = GRACE, lease = LEASE }
      freeze()
      operator:sleep(LEASE + GRACE + 1000)
      assert.same({ "here", 50 }, { guard.who(node).status, #node:suspended(pids) })
      assert.equal("ok", (operator:bulk_resume(pids, 5000)))
      assert(one:leave())
      operator:close()
    end)

    it("undoes for one that went meanwhile", function()
      start()
      local operator = suspended_by_one { grace = GRACE, lease = LEASE }
      freeze(function() operator:close() end)
      assert.truthy(process.wait_until(function() return guard.who(node) == false end, GRACE + 5000))
      assert.equal(0, #node:suspended(pids))
    end)
  end)

  it("undoes once, though two others ask for it and a third wants to begin", function()
    start()
    local operator = suspended_by_one { who = "ann", grace = 10000 }
    operator:close()
    assert.truthy(process.wait_until(function() return (guard.who(node) or {}).status == "gone" end))
    local undo = { "gen_server", "call", { atom(guard.NAME), atom "undo", 5000 } }
    local others = { node:request(table.unpack(undo)), node:request(table.unpack(undo)) }
    local begun, _, code = guard.start(node, { who = "bob" })
    -- They come before the third, which finds the guard at work, or gone; which of the two comes first is the node's affair.
    local undone = 0
    for _, other in ipairs(others) do
      local answer, _, why = node:await(other, 5000)
      if answer == atom "ok" then undone = undone + 1 else assert.equal("exit", why) end
    end
    assert.is_true(undone > 0)
    assert.equal(0, #node:suspended(pids))
    if begun then assert(begun:leave()) else assert.equal("busy", code) end
  end)
end)
