-- Whom a run refuses to suspend, on the chat release: its plain listener types its connections supervisor.

local chat = require "support.chat"
local clients = require "support.clients"
local compiled = require "support.compiled"
local erlang_node = require "support.node"
local guard = require "edeliver.relup.undo.guard"
local process = require "support.process"
local relup = require "edeliver.relup"
local must_not_suspend = require "edeliver.relup.step.must_not_suspend"
local servers = require "support.servers"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local atom = term.atom

describe("must_not_suspend", function()
  local sockets, node
  local release = shared(chat.start, { next = {} })
  setup(function()
    sockets = clients.start()
    sockets:open { port = release.ports.endpoint, count = 5 }
    sockets:open { port = release.ports.plain, count = 3, topic = false }
    node = release:connect()
  end)

  teardown(function()
    node:close()
    sockets:stop()
  end)

  local function whereis(name) return node:call("erlang", "whereis", { atom(name) }) end

  local function refused(pids, installs, expected)
    local fine, message, code = must_not_suspend.check(node, node:pids(pids), installs)
    assert.is_nil(fine)
    assert.equal("not_suspendable", code)
    assert.matches(expected, message)
    assert.matches("No process was suspended", message)
  end

  local function connections(ref)
    return node:call("ranch", "procs", { atom(ref), atom "connections" })
  end

  it("allows websockets and servers of the application", function()
    local pids = node:pids(connections "Elixir.Chat.Endpoint.HTTP"):plus(node:pids { whereis "chat_counter" })
    assert.equal(6, #pids)
    assert.is_true(must_not_suspend.check(node, pids, true))
    assert.is_true(must_not_suspend.check(node, node:pids {}, true))
  end)

  it("allows the dead", function()
    local pid = node:call("erlang", "spawn", { atom "erlang", atom "node", term.list {} })
    assert.is_true(must_not_suspend.check(node, node:pids { pid }, true))
  end)

  it("refuses supervisors", function()
    refused({ whereis "Elixir.Chat.Supervisor" }, false,
      "1 of 1 process must not be suspended, for example <.*>: it is a supervisor")
    refused({ whereis "chat_counter", whereis "Elixir.Chat.Endpoint" }, false, "1 of 2 .* it is a supervisor")
  end)

  it("refuses kernel and sasl, and what the node itself lives by", function()
    for _, name in ipairs { "release_handler", "code_server", "net_kernel", "application_controller", "init" } do
      refused({ whereis(name) }, false, "kernel or sasl")
    end
  end)

  it("refuses what its parent types supervisor while a release is installed, and only then", function()
    local pids = connections "chat_plain"
    assert.equal(3, #pids)
    assert.is_true(must_not_suspend.check(node, node:pids(pids), false))
    refused({ whereis "chat_counter", pids[1] }, true, "1 of 2 .* its parent types it supervisor: .* the node would restart")
  end)

  it("refuses the guard", function()
    local one = assert(guard.start(node))
    refused({ one.pid }, false, "the guard itself")
    one:leave()
  end)

  it("stops a step before anybody is suspended", function()
    local careless = { whereis "chat_counter", whereis "release_handler" }
    local report, message = relup.sequence {
      { name = "careless", run = function(_, _, ctx) return ctx:suspend(careless) end },
    }:run(node, { name = "chat", journal = false, log = function() end })
    assert.is_nil(report)
    assert.matches("careless failed: 1 of 2 processes must not be suspended", message)
    assert.equal(0, #node:suspended())
  end)
end)

-- What `call` starts, linked to a process that lives on.
local function started(node, call)
  return assert(node:eval("Me = self(), spawn(fun() -> {ok, Pid} = " .. call .. ", Me ! Pid, receive stop -> ok end end), "
    .. "receive Pid -> Pid end."))
end

describe("must_not_suspend knows a supervisor", function()

  local live = shared(servers.start)

  local function child_of(sup) return assert(live.node:call("kiosk_sup2", "which_children", { sup }))[1][2] end

  local function check(pid, installs) return must_not_suspend.check(live.node, live.node:pids { pid }, installs) end

  it("by what its module exports, whatever its name is", function()
    local sup = started(live.node, "kiosk_sup2:start_link(worker)")
    local fine, message = check(sup, false)
    assert.is_nil(fine)
    assert.matches("it is a supervisor", message)
    assert.is_true(check(child_of(sup), true))
  end)

  it("and asks it who is typed so", function()
    local child = child_of(started(live.node, "kiosk_sup2:start_link(supervisor)"))
    local fine, message = check(child, true)
    assert.is_nil(fine)
    assert.matches("its parent types it supervisor", message)
    assert.is_true(check(child, false))
  end)

  it("by its parent where its module exports nothing of the kind, as that of ranch's", function()
    local sups = assert(live.node:eval "ets:match(ranch_server, {{conns_sup, chat_plain, '_'}, '$1'}).")
    local fine, message = check(sups[1][1], false)
    assert.is_nil(fine)
    assert.matches("it is a supervisor", message)
  end)

  it("and asks nobody who only knows the question", function()
    local worker = child_of(started(live.node, "kiosk_sup2:start_link(worker)"))
    local below = assert(live.node:call("gen_server", "call", { worker, atom "child" }))
    assert.is_true(check(below, true))
    assert.is_true(check(worker, true))
    assert.is_true(live.node:call("erlang", "is_process_alive", { worker }))
    assert.is_true(live.node:call("erlang", "is_process_alive", { below }))
  end)
end)

-- On a plain node: an embedded release loads none of them.
describe("must_not_suspend knows Elixir's", function()
  it("DynamicSupervisor and PartitionSupervisor, whose children are workers", function()
    local ebin = process.output [[elixir -e 'IO.write(:code.lib_dir(:elixir, :ebin))' 2>/dev/null]]
    if ebin == "" then return pending "needs Elixir" end
    local erlang <close> = erlang_node.start { args = { "-pa", ebin, compiled "servers" } }
    local node <close> = erlang:connect()
    assert(node:call("application", "ensure_all_started", { atom "elixir" }, 20000))
    local dynamic = started(node, "'Elixir.DynamicSupervisor':start_link([{strategy, one_for_one}])")
    local partitions = started(node, [['Elixir.PartitionSupervisor':start_link([{name, kiosk_partitions}, {partitions, 2},
      {child_spec, #{id => child, start => {kiosk_asker, start_link, []}}}])]])
    local spec = term.map {
      atom "id", atom "child", atom "start", term.tuple { atom "kiosk_asker", atom "start_link", term.list {} },
    }
    local workers = { assert(node:call("Elixir.DynamicSupervisor", "start_child", { dynamic, spec }))[2] }
    for _, row in ipairs(assert(node:call("supervisor", "which_children", { partitions }))) do
      workers[#workers + 1] = row[2]
    end
    assert.equal(3, #workers)
    assert.is_true(must_not_suspend.check(node, node:pids(workers), true))
    for _, sup in ipairs { dynamic, partitions } do
      local fine, message = must_not_suspend.check(node, node:pids { sup }, false)
      assert.is_nil(fine)
      assert.matches("it is a supervisor", message)
    end
  end)
end)
