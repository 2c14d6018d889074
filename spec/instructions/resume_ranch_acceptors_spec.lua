local atom = require("edeliver.relup.term").atom
local resume = require "edeliver.relup.instructions.resume_ranch_acceptors"
local shared = require "support.shared"
local suspend = require "edeliver.relup.instructions.suspend_ranch_acceptors"
local clients = require "support.clients"
local live = require "support.live"

describe("resume_ranch_acceptors", function()
  local chat = shared(live.start)

  it("by hand, restarts the acceptors that it finds stopped", function()
    local printed, result = live.by_hand(suspend.run, chat.node, atom "chat")
    assert.equal("100 acceptors stopped", printed)
    assert.equal(printed, result)
    local sockets <close> = clients.start()
    local waiting = sockets:get(chat.ports.endpoint, "/")
    assert.is_nil(sockets:body(waiting, 200))
    printed = live.by_hand(resume.run, chat.node, "chat")
    assert.equal("100 acceptors are running", printed)
    assert.matches("^200", sockets:body(waiting, 3000))
  end)

  it("by hand, resumes a listener that it finds suspended", function()
    chat.release:eval "ranch:suspend_listener('Elixir.Chat.Endpoint.HTTP')"
    local printed = live.by_hand(resume.run, chat.node, "chat")
    assert.equal("100 acceptors are running", printed)
    assert.equal("running", chat.release:eval "ranch:get_status('Elixir.Chat.Endpoint.HTTP')")
  end)

  it("in a run, restarts only what the run has stopped", function()
    local other = chat:context { port = chat.ports.plain }
    assert(chat:run("suspend_ranch_acceptors", other))
    local result, message, code = chat:run("resume_ranch_acceptors", chat:context { port = chat.ports.plain })
    assert.is_nil(result)
    assert.matches("10 acceptors are still stopped", message)
    assert.equal("refused", code)
    assert.equal("10 acceptors are running", chat:run("resume_ranch_acceptors", other))
  end)

  it("in a run, sees that those of new listeners run, where the application was restarted meanwhile", function()
    local ctx = chat:context()
    assert(chat:run("suspend_ranch_acceptors", ctx))
    assert.equal("ok", chat.release:eval "ok = application:stop(chat), ok = application:start(chat)")
    assert.equal("100 acceptors are running", chat:run("resume_ranch_acceptors", ctx))
    assert.is_true(ctx.ledger:is_settled())
  end)
end)
