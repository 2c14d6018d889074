local shared = require "support.shared"
local web = require "edeliver.relup.web"
local clients = require "support.clients"
local live = require "support.live"

describe("web.site", function()
  local chat = shared(live.start)

  local function site(name) return assert(web.find(chat.node, "chat", { port = chat.ports[name] })) end

  local function numbers(of)
    local found = assert(of:connections())
    return { websockets = #found.websockets, http = #found.http, idle = #found.idle, channels = #found.channels }
  end

  it("counts, below an endpoint, the websockets of channels", function()
    local endpoint = site "endpoint"
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 4 }
    sockets:open { port = chat.ports.endpoint, count = 2, topic = false, frame = "heartbeat" }
    sockets:body(sockets:get(chat.ports.endpoint, "/"), 2000)
    assert.same({ websockets = 4, http = 1, idle = 2, channels = 4 }, numbers(endpoint))
    local none, found = chat.node:pids {}, endpoint:connections()
    assert.equal(0, #found.websockets:minus(assert(endpoint:new_targets("transports", none))))
    assert.equal(0, #assert(endpoint:new_targets("transports", found.websockets)))
    assert.equal(0, #found.channels:minus(assert(endpoint:new_targets("channels", none))))
    assert.equal(4, #assert(endpoint:targets()))
    assert.equal(1, #assert(endpoint:new_targets("channels", chat.node:pids { found.channels[1], found.channels[2],
      found.channels[3] })))
  end)

  it("counts every websocket on a plain listener", function()
    local sockets <close> = clients.open { port = chat.ports.workers, count = 3, topic = false }
    sockets:body(sockets:get(chat.ports.workers, "/"), 2000)
    assert.same({ websockets = 3, http = 1, idle = 0, channels = 0 }, numbers(site "workers"))
  end)

  it("knows which targets can be had", function()
    assert.equal("transports", site("endpoint"):target())
    assert.equal("transports", site("endpoint"):target "auto")
    assert.equal("channels", site("endpoint"):target "channels")
    local target, message, code = site("plain"):target "channels"
    assert.is_nil(target)
    assert.matches("there are no channels", message)
    assert.equal("not_detected", code)
    target, message, code = site("plain"):target "everybody"
    assert.is_nil(target)
    assert.matches('not "everybody"', message)
    assert.equal("badarg", code)
  end)

  it("misses nothing here, and says of a listener what it lacks", function()
    local plain = site "plain"
    assert.is_nil(plain:missing_acceptors())
    assert.is_nil(plain:missing_connections())
    assert.equal("ok", chat.release:eval "ranch:suspend_listener(chat_plain)")
    plain = assert(web.find(chat.node, "chat", { listener = "chat_plain" }))
    assert.matches("chat_plain %(.*%) has no acceptors supervisor", plain:missing_acceptors())
    assert.equal("ok", chat.release:eval "ranch:resume_listener(chat_plain)")
    assert(chat.release:eval "ranch:start_listener(other, ranch_tcp, #{socket_opts => [{ip, {127,0,0,1}}]}, chat_protocol, [])")
    local other = assert(web.find(chat.node, "chat", { listener = "other" }))
    assert.matches("speaks chat_protocol", other:missing_connections())
    assert.equal("ok", chat.release:eval "ranch:stop_listener(other)")
  end)
end)

describe("sites of all servers", function()
  -- What instructions and commands ask of a site.
  local ASKED = {
    "describe", "missing_acceptors", "missing_connections", "acceptors", "acceptors_again", "reopening", "connections",
    "requests", "target", "new_targets", "targets", "hide", "show",
  }

  it("answer the same questions", function()
    for _, name in ipairs { "servers.cowboy_2", "servers.cowboy_1", "servers.supervised", "union" } do
      local class = require("edeliver.relup.web." .. name)
      for _, method in ipairs(ASKED) do assert.equal("function", type(class[method]), name .. " has no " .. method) end
    end
  end)

  it("have nothing of a server in what they have in common", function()
    local site = require "edeliver.relup.web.site"
    for _, method in ipairs { "missing_connections", "requests", "candidates", "listening" } do assert.is_nil(site[method]) end
  end)
end)
