local clients = require "support.clients"
local servers = require "support.servers"
local web = require "edeliver.relup.web"
local live = require "support.live"

describe("web.supervised", function()
  local chat, port
  setup(function()
    chat = servers.start()
    port = tonumber(chat.release:eval "kiosk_connection_sup:start_listener(chat_supervised)")
  end)
  teardown(function() chat:stop() end)

  local function site() return assert(web.find(chat.node, "chat", { listener = "chat_supervised" })) end

  it("finds cowboy's processes below the connections' supervisors, websockets apart from the rest", function()
    local sockets <close> = clients.open { port = port, count = 6, topic = false }
    sockets:body(sockets:get(port, "/"), 2000)
    assert.is_nil(site():missing_connections())
    local found = assert(site():connections())
    assert.same({ 6, 1, 0 }, { #found.websockets, #found.http, #found.channels })
    -- Also when they hibernate, and show no more of their code.
    for _, pid in found.websockets:iter() do assert(chat.node:send(pid, require("edeliver.relup.term").atom "anything")) end
    assert.equal(6, #assert(site():connections()).websockets)
    local slow = sockets:get(port, "/slow?ms=300")
    live.eventually(function() return #assert(site():requests()) == 1 end)
    assert.matches("slow", sockets:body(slow, 3000))
  end)

  it("suspends n of n and resumes them, and a walk over the tree is not held up meanwhile", function()
    local sockets <close> = clients.open { port = port, count = 6, topic = false, interval = 50 }
    local ctx = chat:context { listener = "chat_supervised" }
    assert.equal("6 websockets suspended", chat:run("suspend_channels", ctx))
    local sups = chat.node:pids(assert(chat.node:eval "ranch:procs(chat_supervised, connections)."))
    assert.equal(6, #assert(chat.node:map("supervisor", "which_children", sups, 2000)))
    assert.equal(6, #assert(chat.node:suspended()))
    assert.equal(6, #assert(site():connections()).websockets)
    assert.equal("6 processes resumed", chat:run("resume_channels", ctx))
    assert.equal(0, sockets:drain(2000).pending)
    assert.equal(0, sockets:stats().reconnects)
  end)
end)
