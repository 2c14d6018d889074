local relup = require "edeliver.relup"
local servers = require "support.servers"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local web = require "edeliver.relup.web"
local live = require "support.live"

describe("web.bandit", function()
  local port
  local chat = shared(servers.start)
  setup(function() port = chat:serve "kiosk" end)

  local function site(config) return assert(web.find(chat.node, "kiosk", config)) end

  local function context(config) return chat:context(config, "kiosk") end

  it("finds the server below the endpoint, its port and its acceptors", function()
    local words = "the Phoenix endpoint 'Elixir.Kiosk.Endpoint' on Bandit: {'Elixir.Kiosk.Endpoint',http} (port %d)"
    assert.equal(words:format(port), tostring(site()))
    assert.is_nil(site():missing_acceptors(true))
    assert.is_nil(site():missing_connections())
    assert.equal(10, #site():acceptors()[1].running)
    local ref = term.tuple { term.atom "Elixir.Kiosk.Endpoint", term.atom "http" }
    assert.equal(port, site({ listener = ref }).listeners[1].port)
    local none, message, code = web.find(chat.node, "kiosk", { port = 1 })
    assert.is_nil(none)
    assert.equal("not_detected", code)
    assert.matches("no Phoenix endpoint of kiosk has a Bandit on port 1", message)
  end)

  it("tells websockets by their channels, and leaves the rest alone", function()
    local joined <close> = chat:open(port, 7, "upgrade", "join") -- luacheck: ignore
    local bare <close> = chat:open(port, 3, "upgrade") -- luacheck: ignore
    local http <close> = chat:open(port, 2, "get 0") -- luacheck: ignore
    local found = assert(site():connections())
    assert.same({ 7, 7, 5, 0 }, { #found.websockets, #found.channels, #found.http, #found.idle })
    local none = chat.node:pids {}
    assert.equal(0, #found.websockets:minus(assert(site():new_targets("transports", none))))
    assert.equal(0, #assert(site():new_targets("transports", found.websockets)))
    assert.equal(0, #found.channels:minus(assert(site():new_targets("channels", none))))
    assert.equal("transports", site():target "auto")
  end)

  it("suspends n of n websockets and resumes them, channels likewise; nothing that was sent is lost", function()
    for target, text in pairs { transports = "7 websockets", channels = "7 channels" } do
      local sockets <close> = chat:open(port, 7, "upgrade", "join")
      local ctx = context { target = target }
      assert.equal(text .. " suspended", chat:run("suspend_channels", ctx, term.atom "kiosk"))
      assert.equal(7, #assert(chat.node:suspended()))
      assert.equal(0, sockets:ping(100))
      assert.equal("7 processes resumed", chat:run("resume_channels", ctx))
      assert.equal(7, sockets:ping(2000))
      assert.is_true(ctx.ledger:is_settled())
    end
  end)

  it("sees the requests that run, in the connections themselves; idle connections run none", function()
    local idle <close> = chat:open(port, 2, "get 0") -- luacheck: ignore
    assert.equal(0, #assert(site():requests()))
    assert(chat.release:eval(("spawn(fun() -> kiosk_clients:open(%d, 1, [\"get 400\"]) end)"):format(port)))
    live.eventually(function() return #assert(site():requests()) == 1 end)
    live.eventually(function() return #assert(site():requests()) == 0 end)
  end)

  it("takes a poll that waits for no running request", function()
    assert(chat.release:eval(("spawn(fun() -> kiosk_clients:open(%d, 1, [\"poll 3000\"]) end)"):format(port)))
    live.eventually(function() return chat:polls() == 1 end)
    assert.equal(0, #assert(site():requests()))
    assert.equal(1, chat:polls())
  end)

  it("restarts the other acceptors where a supervisor of one has died meanwhile", function()
    local ctx = context()
    assert.equal("10 acceptors stopped", chat:run("suspend_ranch_acceptors", ctx))
    local first = ctx.site:acceptors()[1].stopped[1] or ctx.site.listeners[1].acceptor_sups[1].pid
    chat.node:call("erlang", "exit", { first, term.atom "kill" })
    live.eventually(function() return #site():acceptors()[1].running == 1 end)
    assert.is_true(ctx:undo "acceptors")
    assert.equal(10, #site():acceptors()[1].running)
  end)

  it("passes over those that a connection is linked to on another node", function()
    local http <close> = chat:open(port, 2, "get 0") -- luacheck: ignore
    local found = assert(site():connections()).http
    local pids = {}
    for i, pid in found:iter() do pids[i] = pid end
    local other <close> = chat:linked_from_elsewhere(pids) -- luacheck: ignore
    assert.equal(0, #assert(site():requests()))
  end)

  it("is known to recovery without a journal", function()
    local lines = {}
    local function recover()
      return assert(relup.recover(chat.node, nil, { log = function(_, text) lines[#lines + 1] = text end }))
    end
    chat:run("suspend_ranch_acceptors", context())
    assert.is_true(recover().ok)
    assert.matches("to be undone: 10 acceptors of {'Elixir.Kiosk.Endpoint',http}", table.concat(lines, "\n"))
    assert.equal(10, #site():acceptors()[1].running)
    local ctx = context { refuse = true }
    chat:run("suspend_ranch_acceptors", ctx)
    recover()
    assert.matches("is suspended as a whole, and .* 'Elixir.ThousandIsland':resume lets", table.concat(lines, "\n"))
    assert.is_true(ctx:undo "acceptors")
  end)

  it("stops accepting and accepts again, one acceptor after the other or the server as a whole", function()
    for _, refuse in ipairs { false, true } do
      local ctx = context { refuse = refuse }
      assert.equal("10 acceptors stopped", chat:run("suspend_ranch_acceptors", ctx))
      local connect = ("element(1, gen_tcp:connect({127,0,0,1}, %d, [{active, false}], 1000))"):format(port)
      assert.equal(refuse and "error" or "ok", chat.release:eval(connect))
      assert.equal("10 acceptors are running", chat:run("resume_ranch_acceptors", ctx))
      local sockets <close> = chat:open(port, 1, "upgrade", "join")
      assert.equal(1, sockets:ping(2000))
    end
  end)

  it("starts by hand what is found stopped", function()
    assert.equal("ok", chat.release:eval [[
      Children = supervisor:which_children('Elixir.Kiosk.Endpoint'),
      {_, Server, _, _} = lists:keyfind({'Elixir.Kiosk.Endpoint', http}, 1, Children),
      'Elixir.ThousandIsland':suspend(Server)]])
    assert.matches("has no listener", site():missing_acceptors())
    local run = require("edeliver.relup.instructions.resume_ranch_acceptors").run
    local _, result = live.by_hand(run, chat.node, term.atom "kiosk")
    assert.equal("10 acceptors are running", result)
  end)
end)
