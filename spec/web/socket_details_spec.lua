-- What is known of single sockets, on cowboy, over TLS and on Bandit.

local clients = require "support.clients"
local live = require "support.live"
local servers = require "support.servers"
local shared = require "support.shared"
local socket_details = require "edeliver.relup.web.socket_details"
local web = require "edeliver.relup.web"

describe("web.socket_details", function()
  local chat = shared(servers.start)

  -- The details of a kind of connections, once there are so many of them.
  local function details(count, name, kind, config)
    local site, found
    live.eventually(function()
      site = assert(web.find(chat.node, name, config))
      found = assert(site:connections())[kind]
      return #found == count
    end)
    return assert(socket_details.of(chat.node, site, found))
  end

  it("has peer and topic of websockets and of their channels, and no age on cowboy", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 4 } -- luacheck: ignore
    local seen = {}
    for _, kind in ipairs { "websockets", "channels" } do
      for _, each in ipairs(details(4, "chat", kind)) do
        assert.matches("^127%.0%.0%.1:%d+$", each.peer)
        assert.same({ "room:lobby" }, each.topics)
        assert.is_nil(each.age)
        seen[each.peer] = (seen[each.peer] or 0) + 1
      end
    end
    local peers = 0
    for _, times in pairs(seen) do
      peers = peers + 1
      assert.equal(2, times)
    end
    assert.equal(4, peers)
  end)

  it("has the peer over TLS, too", function()
    local port = tonumber(chat.release:eval "kiosk_clients:tls_listener(secure)")
    local sockets <close> = chat:open_tls(port, 2) -- luacheck: ignore
    for _, each in ipairs(details(2, "chat", "websockets", { listener = "secure" })) do
      assert.matches("^127%.0%.0%.1:%d+$", each.peer)
    end
  end)

  it("has the age on Bandit, and asks nobody who may run a request", function()
    local port = chat:serve "kiosk"
    local joined <close> = chat:open(port, 3, "upgrade", "join") -- luacheck: ignore
    local bare <close> = chat:open(port, 2, "get 0") -- luacheck: ignore
    for _, each in ipairs(details(3, "kiosk", "websockets")) do
      assert.same({ "kiosk:till" }, each.topics)
      assert.is_true(each.age >= 0)
      assert.matches("^127%.0%.0%.1:%d+$", each.peer)
    end
    for _, each in ipairs(details(2, "kiosk", "http")) do
      assert.same({ {}, nil }, { each.topics, each.age })
      assert.matches("^127%.0%.0%.1:%d+$", each.peer)
    end
  end)

  it("knows nothing of the dead", function()
    local dead = assert(chat.node:eval "spawn(fun() -> ok end).")
    live.eventually(function() return chat.node:call("erlang", "is_process_alive", { dead }) == false end)
    local site = assert(web.find(chat.node, "chat"))
    assert.same({ { topics = {} } }, socket_details.of(chat.node, site, { dead }))
  end)
end)
