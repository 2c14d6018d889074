local resume = require "edeliver.relup.instructions.resume_channels"
local clients = require "support.clients"
local live = require "support.live"
local shared = require "support.shared"

describe("resume_channels", function()
  local chat = shared(live.start)

  it("resumes whom the run has asked, and nobody else", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 3, interval = 50 }
    local counter = chat.node:call("erlang", "whereis", { require("edeliver.relup.term").atom "chat_counter" })
    local ctx = chat:context()
    assert(chat:run("suspend_channels", ctx))
    assert.equal("ok", chat.node:bulk_suspend({ counter }))
    assert.equal("3 processes resumed", chat:run("resume_channels", ctx))
    assert.same({ counter }, { assert(chat.node:suspended())[1] })
    assert.equal("ok", chat.node:bulk_resume({ counter }))
    assert.equal(0, sockets:drain().lost)
  end)

  it("takes it well that some have died meanwhile", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 3, interval = 50 } -- luacheck: ignore sockets
    local ctx = chat:context()
    assert(chat:run("suspend_channels", ctx))
    chat.node:call("erlang", "exit", { ctx:suspended()[1], require("edeliver.relup.term").atom "kill" })
    assert.equal("2 processes resumed", chat:run("resume_channels", ctx))
    assert.is_true(ctx.ledger:is_settled())
  end)

  it("by hand, resumes whoever of the websockets and channels it finds suspended", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 4, interval = 50 }
    local found = require("edeliver.relup.web").find(chat.node, "chat"):connections()
    assert.equal("ok", chat.node:bulk_suspend({ found.websockets[1], found.websockets[2], found.channels[3] }, 1000))
    local printed = live.by_hand(resume.run, chat.node, "chat")
    assert.equal("3 processes resumed", printed)
    assert.equal(0, #assert(chat.node:suspended()))
    assert.equal(0, sockets:drain().lost)
  end)
end)
