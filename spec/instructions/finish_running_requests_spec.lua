local chat_release = require "support.chat"
local clients = require "support.clients"
local live = require "support.live"
local process = require "support.process"
local servers = require "support.servers"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

for _, version in ipairs { 2, 1 } do
  describe("finish_running_requests on ranch " .. version, function()
    if not chat_release.available(version) then
      pending("needs ranch " .. version .. ": see tools/erlang-libs")
      return
    end
    local sockets
    local chat = shared(servers.start, { ranch = version })
    setup(function() sockets = clients.open { port = chat.ports.endpoint, count = 3 } end)
    teardown(function() sockets:stop() end)

    local function run(ctx, patience)
      local core = require "edeliver.relup.core"
      local started = core.now()
      local result = chat:run("finish_running_requests", ctx, term.tuple { term.atom "chat", patience })
      return result, core.now() - started
    end

    local function running()
      return #assert(require("edeliver.relup.web").find(chat.node, "chat")):requests()
    end

    it("does not wait for connections that idle, or for websockets", function()
      sockets:body(sockets:get(chat.ports.endpoint, "/"), 2000)
      local result, took = run(chat:context(), 5000)
      assert.equal("no running requests", result)
      assert.is_true(took < 2000 * process.patience)
    end)

    it("does not wait for polls that wait, and tells them nothing", function()
      local poll = sockets:get(chat.ports.endpoint, "/poll?ms=3000")
      live.eventually(function() return chat:polls() == 1 end)
      assert.equal("no running requests", (run(chat:context(), 5000)))
      assert.equal("200 nothing", sockets:body(poll, 5000))
    end)

    it("returns as soon as the last request has ended", function()
      local one, two = sockets:get(chat.ports.endpoint, "/slow?ms=400"), sockets:get(chat.ports.endpoint, "/slow?ms=600")
      live.eventually(function() return running() == 2 end)
      local result, took = run(chat:context(), 10000)
      assert.equal("2 requests ended, 0 still running", result)
      assert.is_true(took < 5000 * process.patience)
      assert.equal("200 1.0.0 slow", sockets:body(one, 2000))
      assert.equal("200 1.0.0 slow", sockets:body(two, 2000))
    end)

    it("tells those that run longer that the upgrade starts, and rerun_failed_requests that it is over", function()
      local ctx = chat:context()
      local waiting = sockets:get(chat.ports.endpoint, "/rerun?ms=60000")
      live.eventually(function() return running() == 1 end)
      assert.equal("0 requests ended, 1 still running", (run(ctx, 100)))
      assert.is_nil(sockets:body(waiting, 200))
      assert.equal("1 request told that the upgrade is over", chat:run("rerun_failed_requests", ctx))
      assert.equal("200 1.0.0 rerun", sockets:body(waiting, 3000))
      assert.is_true(ctx.ledger:is_settled())
    end)

    it("tells them that it is over on the way out of a run that fails, too", function()
      local ctx = chat:context()
      local waiting = sockets:get(chat.ports.endpoint, "/rerun?ms=60000")
      live.eventually(function() return running() == 1 end)
      assert(run(ctx, 0))
      assert(ctx.ledger:settle())
      assert.equal("200 1.0.0 rerun", sockets:body(waiting, 3000))
    end)
  end)
end
