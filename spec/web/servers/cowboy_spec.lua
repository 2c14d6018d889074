local cowboy = require "edeliver.relup.web.servers.cowboy"
local web = require "edeliver.relup.web"
local chat_release = require "support.chat"
local clients = require "support.clients"
local erlang_node = require "support.node"
local live = require "support.live"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"

local STEPS = {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors",
  "suspend_channels", "finish_running_requests", relup.install(), "rerun_failed_requests", "resume_channels",
  "resume_ranch_acceptors",
}

it("web.cowboy passes over those that a connection is linked to on another node", function()
  local erlang <close> = erlang_node.start()
  local node <close> = erlang:connect()
  local connection = node:call("erlang", "spawn", { term.atom "timer", term.atom "sleep", term.list { term.atom "infinity" } })
  local here, there = node:call("erlang", "whereis", { term.atom "init" }), node:self()
  local asked
  node.process_info = function(_, pids, items)
    if items[1] == "links" then return { { links = { there, here } } } end
    asked = pids
    return getmetatable(node).process_info(node, pids, items)
  end
  assert.equal(0, #assert(cowboy.requests(node, node:pids { connection }, {})))
  assert.same({ here }, asked)
end)

for _, version in ipairs { 2, 1 } do
  describe("web.cowboy on ranch " .. version, function()
    if not chat_release.available(version) then
      pending("needs ranch " .. version .. ": see tools/erlang-libs")
      return
    end

    it("finds the requests that run, not the connections that idle", function()
      local chat <close> = live.start { ranch = version }
      local site = assert(web.find(chat.node, "chat"))
      local sockets <close> = clients.open { port = chat.ports.endpoint, count = 2 }
      sockets:body(sockets:get(chat.ports.endpoint, "/"), 2000)
      assert.equal(1, #site:connections().http)
      assert.equal(0, #site:requests())
      local slow = sockets:get(chat.ports.endpoint, "/slow?ms=400")
      live.eventually(function() return #site:requests() == 1 end)
      assert.equal(0, #site:requests():both(site:connections().http))
      assert.matches("slow", sockets:body(slow, 3000))
      assert.equal(0, #site:requests())
    end)

    it("hides suspended connections that are typed supervisor from the release handler, and shows them again", function()
      local chat <close> = live.start { ranch = version }
      local sockets <close> = clients.open { port = chat.ports.plain, count = 20, topic = false, interval = 50 }
      local site = assert(web.find(chat.node, "chat", { port = chat.ports.plain }))
      local sups = site:connection_supervisors()
      assert.equal(20, cowboy.count_visible(chat.node, sups))
      local function upgrade(dry_run)
        return assert(relup.sequence(STEPS):run(chat.node, {
          name = "chat", version = "2.0.0", port = chat.ports.plain, log = function() end, dry_run = dry_run,
        }))
      end
      assert(chat.release:eval 'release_handler:unpack_release("chat-2.0.0")')
      assert.equal(20, #upgrade(true).would_suspend)
      assert.equal(20, cowboy.count_visible(chat.node, sups))
      assert.equal(20, upgrade(false).suspended)
      assert.same({ ["1.0.0"] = "permanent", ["2.0.0"] = "current" }, chat.release:releases())
      assert.equal(20, cowboy.count_visible(chat.node, sups))
      sockets:reset()
      live.eventually(function() return sockets:stats().versions["2.0.0"] end)
      local stats = sockets:drain()
      assert.same({ 20, 0, 0, 0 }, { stats.open, stats.lost, stats.reconnects, stats.pending })
      assert.is_nil(stats.versions["1.0.0"])
    end)
  end)
end

describe("web.cowboy", function()
  it("has to hide them: else the same install fails past the point of no return", function()
    local chat <close> = live.start()
    local sockets <close> = clients.open { port = chat.ports.plain, count = 2, topic = false, interval = 1000 } -- luacheck: ignore
    local site = assert(web.find(chat.node, "chat", { port = chat.ports.plain }))
    assert.equal("ok", chat.node:bulk_suspend(site:connections().websockets, 1000))
    assert.matches("suspended_supervisor", chat.release:install "2.0.0")
  end)
end)
