local ranch = require "edeliver.relup.web.listeners.ranch"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local chat_release = require "support.chat"
local clients = require "support.clients"
local live = require "support.live"

for _, version in ipairs { 2, 1 } do
  describe("web.ranch on ranch " .. version, function()
    if not chat_release.available(version) then
      pending("needs ranch " .. version .. ": see tools/erlang-libs")
      return
    end
    local by_ref
    local chat = shared(live.start, { ranch = version })
    setup(function()
      by_ref = {}
      for _, listener in ipairs(assert(ranch.listeners(chat.node))) do by_ref[listener.ref.name] = listener end
    end)

    it("lists listeners with their ports, applications and endpoints", function()
      assert.equal(chat.ports.endpoint, by_ref["Elixir.Chat.Endpoint.HTTP"].port)
      assert.equal(term.atom "Elixir.Chat.Endpoint", by_ref["Elixir.Chat.Endpoint.HTTP"].endpoint)
      assert.equal("chat", by_ref["Elixir.Chat.Endpoint.HTTP"].app)
      for name, ref in pairs { plain = "chat_plain", workers = "chat_workers" } do
        assert.equal(chat.ports[name], by_ref[ref].port)
        assert.is_nil(by_ref[ref].endpoint)
        assert.equal("ranch", by_ref[ref].app)
      end
    end)

    it("finds who supervises acceptors and connections, and how those are typed", function()
      local listeners = { by_ref.chat_plain, by_ref.chat_workers, by_ref["Elixir.Chat.Endpoint.HTTP"] }
      assert(ranch.look_below(chat.node, listeners))
      assert.same({ true, false, false }, {
        listeners[1].typed_supervisor, listeners[2].typed_supervisor, listeners[3].typed_supervisor,
      })
      for _, listener in ipairs(listeners) do
        assert.equal("cowboy_clear", listener.protocol)
        assert.equal("pid", term.kind(listener.acceptors_sup))
        assert.is_true(#listener.connection_sups >= 1)
      end
      local pools = assert(ranch.acceptors(chat.node, listeners))
      assert.same({ 10, 10, 100 }, { #pools[1].running, #pools[2].running, #pools[3].running })
      assert.same({ 0, 0, 0 }, { #pools[1].stopped, #pools[2].stopped, #pools[3].stopped })
    end)

    it("tells websockets from http connections by ranch's books, whatever state they are in", function()
      local listener = by_ref.chat_workers
      assert(ranch.look_below(chat.node, { listener }))
      local sockets <close> = clients.open { port = chat.ports.workers, count = 5, topic = false }
      sockets:get(chat.ports.workers, "/slow?ms=3000")
      sockets:body(sockets:get(chat.ports.workers, "/"), 2000)
      local function both() return assert(ranch.connections(chat.node, { listener })) end
      live.eventually(function()
        local http, websockets = ranch.connections(chat.node, { listener })
        return #websockets == 5 and #http == 2
      end)
      local http, websockets = ranch.connections(chat.node, { listener })
      assert.equal(0, #http:both(websockets))
      assert.equal("ok", chat.node:bulk_suspend(websockets, 1000))
      local _, suspended = ranch.connections(chat.node, { listener })
      assert.equal(0, #websockets:minus(suspended))
      assert.equal("ok", chat.node:bulk_resume(websockets, 1000))
      local held <close> = chat:hold { websockets[1] } -- luacheck: ignore held
      assert.is_true(select(2, ranch.connections(chat.node, { listener })):has(websockets[1]))
      local stale = { connection_sups = { chat.node:eval "spawn(fun() -> ok end)." } }
      live.eventually(function() return select(3, ranch.connections(chat.node, { stale })) == "not_detected" end)
      sockets:close()
      sockets:hang_up()
      live.eventually(function() return #both() == 0 end)
    end)
  end)
end
