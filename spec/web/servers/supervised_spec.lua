local broker = require "support.broker"
local clients = require "support.clients"
local compiled = require "support.compiled"
local erlang_node = require "support.node"
local live = require "support.live"
local must_not_suspend = require "edeliver.relup.step.must_not_suspend"
local relup = require "edeliver.relup"
local servers = require "support.servers"
local shared = require "support.shared"
local web = require "edeliver.relup.web"

local atom = relup.term.atom

describe("web.supervised", function()
  local port
  local chat = shared(servers.start)
  setup(function() port = tonumber(chat.release:eval "kiosk_connection_sup:start_listener(chat_supervised)") end)

  local function site() return assert(web.find(chat.node, "chat", { listener = "chat_supervised" })) end

  it("finds cowboy's processes below the connections' supervisors, websockets apart from the rest", function()
    local sockets <close> = clients.open { port = port, count = 6, topic = false }
    sockets:body(sockets:get(port, "/"), 2000)
    assert.is_nil(site():missing_connections())
    local found = assert(site():connections())
    assert.same({ 6, 1, 0 }, { #found.websockets, #found.http, #found.channels })
    -- Also when they hibernate, and show no more of their code.
    for _, pid in found.websockets:iter() do assert(chat.node:send(pid, atom "anything")) end
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

-- Its web plugins start a supervisor2 for each connection, and cowboy's process below.
describe("web.supervised on RabbitMQ", function()
  if not broker.is_there() then
    pending("needs a broker: see tools/erlang-libs")
    return
  end
  local beside, node, other
  local rabbit = shared(broker.start)
  setup(function()
    beside = erlang_node.start { args = { "-pa", compiled "broker" } }
    node = rabbit:connect()
    other = beside:connect()
  end)

  teardown(function()
    node:close()
    other:close()
    beside:stop()
  end)

  local function call(fun, ...) return assert(other:call("broker_clients", fun, { ... }, 30000)) end
  local function open(protocol, count) return call("open", atom(protocol), rabbit.ports[protocol], count) end

  for _, protocol in ipairs { "stomp", "mqtt" } do
    it("suspends the sockets of " .. protocol .. ", silent until they are resumed, and http goes on", function()
      local sockets, http = open(protocol, 20), open("http", 3)
      assert.equal(20, call("ping", sockets, 5000))
      assert.equal(3, call("ping", http, 5000))
      local seen = {}
      local report = assert(relup.sequence {
        "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors", "suspend_channels",
        "finish_running_requests",
        { name = "look", after = "suspend_channels", before = "resume_channels", run = function()
          seen.suspended, seen.silent, seen.http = #assert(node:suspended()), call("ping", sockets, 300), call("ping", http, 5000)
          return true
        end },
        "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
      }:run(node, { name = "rabbit", port = rabbit.ports[protocol], journal = false, log = function() end }))
      assert.equal(20, report.suspended)
      assert.same({ suspended = 20, silent = 0, http = 3 }, seen)
      -- The answers to what was asked meanwhile, and then to more.
      assert.equal(20, call("ping", sockets, 5000))
      assert.equal(20, call("ping", sockets, 5000))
      assert.equal(3, call("ping", http, 5000))
      assert.same({}, report.lost)
      call("close", sockets)
      call("close", http)
    end)
  end

  it("says of connections that are not cowboy's that it does not understand them", function()
    local sockets = open("bare_mqtt", 2)
    local site = assert(web.find(node, "rabbit", { port = rabbit.ports.bare_mqtt }))
    assert.matches("2 connections are no websocket or http connection of cowboy's", site:missing_connections())
    call("close", sockets)
  end)

  it("suspends no supervisor2", function()
    local sockets = open("stomp", 2)
    local site = assert(web.find(node, "rabbit", { port = rabbit.ports.stomp }))
    local found = assert(site:connections())
    assert.equal(2, #found.websockets)
    assert.is_true(must_not_suspend.check(node, found.websockets, true))
    local sups = assert(node:call("ranch", "procs", { site.listeners[1].ref, atom "connections" }))
    local fine, message = must_not_suspend.check(node, node:pids(sups), false)
    assert.is_nil(fine)
    assert.matches("it is a supervisor", message)
    call("close", sockets)
  end)
end)
