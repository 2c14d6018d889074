-- A late act: what was sent before the guard undoes, and arrives when it has left. The link is silent meanwhile, and TCP keeps
-- the bytes: they must find a connection that is closed.

local guard = require "edeliver.relup.undo.guard"
local proxy = require "support.proxy"
local relup = require "edeliver.relup"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local erlang_node = require "support.node"
local process = require "support.process"

local atom, tuple, list = term.atom, term.tuple, term.list

describe("a late act", function()
  local observer, between
  local erlang = shared(erlang_node.start)
  setup(function()
    observer = erlang:connect()
    between = proxy.start(assert(erlang:dist_port()))
  end)

  teardown(function()
    observer:close()
    between:stop()
  end)

  local function is_set(word)
    return observer:call("application", "get_env", { atom "kernel", atom(word) }) ~= atom "undefined"
  end

  it("does nothing, however late the link heals", function()
    local operator <close> = assert(relup.connect(erlang.name, {
      cookie = erlang.cookie, address = "127.0.0.1", port = between.port,
    }))
    local pids = observer:pids(assert(observer:eval "[element(2, gen_event:start()) || _ <- lists:seq(1, 100)]."))
    local one = assert(guard.start(operator, { who = "ann", grace = 200, lease = 600 }))
    assert(one:suspend(pids))
    local unset = tuple { atom "application", atom "unset_env", list { atom "kernel", atom "late" } }
    assert(one:apply { { undo = {}, term = unset } })
    -- The guard has said ok; the acts go into a link that has become silent.
    between:silence()
    for _, pid in pids:iter() do assert(operator.connection:act("sys", "suspend", { pid })) end
    assert(operator.connection:act("application", "set_env", { atom "kernel", atom "late", true }))
    assert.truthy(process.wait_until(function() return guard.who(observer) == false end, 600 + 300 + 200 + 3000))
    between:heal()
    process.sleep(500)
    assert.equal(0, #observer:suspended(pids))
    assert.is_false(is_set "late")
    -- The operator hears of it, and gets no further over a connection of its own either.
    assert.is_nil((operator:act("application", "set_env", { atom "kernel", atom "late", true })))
    assert(operator:reconnect(2000))
    assert.equal("fenced", select(3, operator:act("application", "set_env", { atom "kernel", atom "late", true })))
    assert.equal("fenced", select(3, operator:bulk_suspend(pids, 2000)))
    assert.equal(0, #observer:suspended(pids))
    assert.is_false(is_set "late")
  end)

  it("that is being done when the guard undoes is ended first", function()
    local operator <close> = erlang:connect()
    local one = assert(guard.start(operator, { who = "ann", grace = 200 }))
    local undone = tuple { atom "application", atom "set_env", list { atom "kernel", atom "undone", true } }
    assert(one:apply { { undo = {}, term = undone } })
    assert(operator.connection:act("timer", "sleep", { 20000 }))
    local function acts()
      return observer:eval [=[length([P || P <- processes(),
        {current_function, {timer, sleep, 1}} =:= process_info(P, current_function),
        {initial_call, {erpc, execute_call, 4}} =:= process_info(P, initial_call)]).]=]
    end
    assert.truthy(process.wait_until(function() return acts() == 1 end))
    assert(one:undo())
    assert.equal(0, acts())
    assert.is_true(is_set "undone")
  end)
end)
