local chat_release = require "support.chat"
local clients = require "support.clients"
local live = require "support.live"
local shared = require "support.shared"

for _, version in ipairs { 2, 1 } do
  describe("suspend_ranch_acceptors on ranch " .. version, function()
    if not chat_release.available(version) then
      pending("needs ranch " .. version .. ": see tools/erlang-libs")
      return
    end
    local chat = shared(live.start, { ranch = version })

    it("lets whoever connects meanwhile wait, and be served after the resume; open sockets live on", function()
      local ctx = chat:context()
      local sockets <close> = clients.open { port = chat.ports.endpoint, count = 3, interval = 50 }
      assert.equal("100 acceptors stopped", chat:run("suspend_ranch_acceptors", ctx))
      local waiting = sockets:get(chat.ports.endpoint, "/")
      assert.is_nil(sockets:body(waiting, 300))
      assert.equal("100 acceptors are running", chat:run("resume_ranch_acceptors", ctx))
      assert.matches("^200 1.0.0", sockets:body(waiting, 3000))
      assert.is_true(ctx.ledger:is_settled())
      local stats = sockets:drain()
      assert.same({ 3, 0, 0 }, { stats.open, stats.reconnects, stats.lost })
    end)

    it("refuses connections meanwhile where config.refuse says so", function()
      local ctx = chat:context { port = chat.ports.workers, refuse = true }
      local sockets <close> = clients.start()
      assert.equal("10 acceptors stopped", chat:run("suspend_ranch_acceptors", ctx))
      assert.matches("^error", sockets:body(sockets:get(chat.ports.workers, "/"), 10000))
      assert.equal("10 acceptors are running", chat:run("resume_ranch_acceptors", ctx))
      -- It listens anew: on another port where the release asks for any.
      local port = chat.node:call("ranch", "get_port", { require("edeliver.relup.term").atom "chat_workers" })
      assert.matches("^200 1.0.0", sockets:body(sockets:get(port, "/"), 3000))
      assert.is_true(ctx.ledger:is_settled())
    end)

    it("is undone on the way out of a run that fails", function()
      local ctx = chat:context { port = chat.ports.plain }
      assert(chat:run("suspend_ranch_acceptors", ctx))
      assert.is_false(ctx.ledger:is_settled())
      assert(ctx.ledger:settle())
      assert.matches("10 acceptors$", (chat:run("check_ranch_acceptors", chat:context { port = chat.ports.plain })))
    end)
  end)
end
