local clients = require "support.clients"
local servers = require "support.servers"
local shared = require "support.shared"
local web = require "edeliver.relup.web"

describe("web.union", function()
  local kiosk, booth
  local chat = shared(servers.start)
  setup(function() kiosk, booth = chat:serve "kiosk", chat:serve "booth" end)

  it("says which endpoints other applications have, and finds them when they are named", function()
    local none, message, code = web.find(chat.node, "stdlib", {})
    assert.is_nil(none)
    assert.equal("not_detected", code)
    assert.matches("'Elixir.Kiosk.Endpoint' of kiosk", message)
    assert.matches("config.applications", message)
    local site = assert(web.find(chat.node, "stdlib", { applications = { "kiosk", "chat" } }))
    assert.equal(2, #site.listeners)
    assert.matches("'Elixir.Chat.Endpoint'.*; .*'Elixir.Kiosk.Endpoint' on Bandit", tostring(site))
  end)

  it("suspends the sockets of every endpoint, each by its own target, and resumes them", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 4 }
    local on_bandit <close> = chat:open(kiosk, 3, "upgrade", "join")
    local on_cowboy_1 <close> = chat:open(booth, 2, "upgrade", "join")
    local ctx = chat:context { applications = { "kiosk", "booth" }, target = "auto" }
    assert.matches("120 acceptors", chat:run("check_ranch_acceptors", ctx))
    assert.equal("9 websockets, 9 channels, 0 http connections", chat:run("check_ranch_connections", ctx))
    assert.equal("120 acceptors stopped", chat:run("suspend_ranch_acceptors", ctx))
    assert.equal("9 websockets and channels suspended", chat:run("suspend_channels", ctx))
    assert.equal(0, on_bandit:ping(50))
    assert.equal(0, on_cowboy_1:ping(50))
    assert.equal("no running requests", chat:run("finish_running_requests", ctx))
    assert.equal("9 processes resumed", chat:run("resume_channels", ctx))
    assert.equal("120 acceptors are running", chat:run("resume_ranch_acceptors", ctx))
    assert.equal(3, on_bandit:ping(2000))
    assert.equal(2, on_cowboy_1:ping(2000))
    assert.equal(0, sockets:drain(2000).pending)
  end)

  it("is a site: gives all that are to be suspended", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 2 } -- luacheck: ignore
    local on_bandit <close> = chat:open(kiosk, 3, "upgrade", "join") -- luacheck: ignore
    local site = assert(web.find(chat.node, "chat", { applications = { "kiosk" } }))
    assert.equal(5, #assert(site:targets()))
    assert.equal(5, #assert(site:targets "channels"))
  end)

  it("passes on what one of them cannot do", function()
    local site = assert(web.find(chat.node, "chat", { applications = { "booth" } }))
    local target, message, code = site:target "transports"
    assert.is_nil(target)
    assert.matches("cowboy 1", message)
    assert.equal("not_supported", code)
  end)
end)
