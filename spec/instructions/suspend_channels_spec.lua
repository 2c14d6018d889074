local chat_release = require "support.chat"
local clients = require "support.clients"
local live = require "support.live"
local shared = require "support.shared"
local suspend_channels = require "edeliver.relup.instructions.suspend_channels"

for _, version in ipairs { 2, 1 } do
  describe("suspend_channels on ranch " .. version, function()
    if not chat_release.available(version) then
      pending("needs ranch " .. version .. ": see tools/erlang-libs")
      return
    end
    local chat = shared(live.start, { ranch = version })

    local function connections(config)
      return assert(require("edeliver.relup.web").find(chat.node, "chat", config)):connections()
    end

    it("suspends the websockets of channels and nobody else", function()
      local sockets <close> = clients.open { port = chat.ports.endpoint, count = 10, interval = 50 }
      sockets:open { port = chat.ports.endpoint, count = 2, topic = false, frame = "heartbeat", interval = 50 }
      sockets:body(sockets:get(chat.ports.endpoint, "/"), 2000)
      local ctx = chat:context()
      assert.equal("10 websockets suspended", chat:run("suspend_channels", ctx))
      local sitting = assert(chat.node:suspended())
      assert.equal(10, #sitting)
      assert.equal(0, #sitting:minus(connections().websockets))
      assert.equal(0, #sitting:minus(ctx:suspended()))
      assert.equal("10 processes resumed", chat:run("resume_channels", ctx))
      assert.equal(0, #assert(chat.node:suspended()))
      assert.is_true(ctx.ledger:is_settled())
      local stats = sockets:drain()
      assert.same({ 12, 0, 0, 0 }, { stats.open, stats.lost, stats.reconnects, stats.disorder })
    end)

    it("suspends the channels alone, while heartbeats go on being answered", function()
      local sockets <close> = clients.open { port = chat.ports.endpoint, count = 5, interval = 50, frame = "heartbeat" }
      local ctx = chat:context { target = "channels" }
      assert.equal("5 channels suspended", chat:run("suspend_channels", ctx))
      assert.equal(0, #assert(chat.node:suspended()):minus(connections().channels))
      sockets:reset()
      live.eventually(function() return (sockets:stats().versions["1.0.0"] or 0) >= 10 end)
      assert.equal("5 processes resumed", chat:run("resume_channels", ctx))
      assert.equal(0, sockets:drain().lost)
    end)

    it("hides connections that are typed supervisor before it suspends them, and shows them again", function()
      local config = { port = chat.ports.plain }
      local sockets <close> = clients.open { port = chat.ports.plain, count = 4, topic = false, interval = 50 }
      local types = "[element(2, lists:keyfind(supervisors, 1, supervisor:count_children(S))) || {_, S, _, _} <- Sups]"
      local function visible()
        local sum = 0
        for count in assert(chat.release:eval((version == 2 and [[
          Listener = ranch_server:get_listener_sup(chat_plain),
          {_, Above, _, _} = lists:keyfind(ranch_conns_sup_sup, 1, supervisor:which_children(Listener)),
          Sups = supervisor:which_children(Above), ]] or [[
          Sups = [lists:keyfind(ranch_conns_sup, 1, supervisor:which_children(ranch_server:get_listener_sup(chat_plain)))], ]])
          .. "L = " .. types .. ", lists:flatten([integer_to_list(N) ++ \" \" || N <- L])")):gmatch "%d+" do
          sum = sum + tonumber(count)
        end
        return sum
      end
      assert.equal(4, visible())
      local ctx = chat:context(config)
      assert.equal("4 websockets suspended", chat:run("suspend_channels", ctx))
      assert.equal(0, visible())
      assert.equal("4 processes resumed", chat:run("resume_channels", ctx))
      assert.equal(4, visible())
      assert.is_true(ctx.ledger:is_settled())
      assert.equal(0, sockets:drain().lost)
    end)

    it("fails with numbers where some don't answer, but for as many as config.tolerate says", function()
      local sockets <close> = clients.open { port = chat.ports.endpoint, count = 5, interval = 1000 }
      local websockets = connections().websockets
      local strict = chat:context { suspend_timeout = 200 }
      local tolerant = chat:context { suspend_timeout = 200, tolerate = 1, resume_timeout = 200 }
      do
        local held <close> = chat:hold { websockets[1] } -- luacheck: ignore held
        local result, message, code = chat:run("suspend_channels", strict)
        assert.is_nil(result)
        assert.matches("1 of 5 processes did not answer within 200 ms", message)
        assert.equal("timeout", code)
        assert.equal("4 websockets suspended, 1 silent", chat:run("suspend_channels", tolerant))
      end
      -- The late suspend takes effect now, and is undone all the same.
      assert.equal("5 processes resumed", chat:run("resume_channels", tolerant))
      assert(strict.ledger:settle())
      assert.equal(0, #assert(chat.node:suspended()))
      assert.equal(0, sockets:drain().lost)
    end)

    it("names the other target where nobody answers at all", function()
      local sockets <close> = clients.open { port = chat.ports.endpoint, count = 2, interval = 1000 }
      local ctx = chat:context { suspend_timeout = 200 }
      do
        local held <close> = chat:hold { connections().websockets[1], connections().websockets[2] } -- luacheck: ignore held
        local result, message, code = chat:run("suspend_channels", ctx)
        assert.is_nil(result)
        assert.matches('config.target = "channels"', message, 1, true)
        assert.equal("not_supported", code)
      end
      assert(ctx.ledger:settle())
      assert.equal(0, sockets:drain().lost)
    end)

    it("has nothing to do without websockets", function()
      local ctx = chat:context()
      assert.equal("0 websockets suspended", chat:run("suspend_channels", ctx))
      assert.equal("0 processes resumed", chat:run("resume_channels", ctx))
    end)

    it("suspends any processes by its bulk_suspend", function()
      local counter = chat.node:call("erlang", "whereis", { require("edeliver.relup.term").atom "chat_counter" })
      assert.equal("ok", suspend_channels.bulk_suspend(chat.node, { counter }))
      assert.equal("ok", require("edeliver.relup.instructions.resume_channels").bulk_resume(chat.node, { counter }))
      assert.equal(0, #assert(chat.node:suspended()))
    end)
  end)
end
