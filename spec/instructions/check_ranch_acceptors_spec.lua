local live = require "support.live"
local shared = require "support.shared"

describe("check_ranch_acceptors", function()
  local chat = shared(live.start)

  local function run(config) return chat:try("check_ranch_acceptors", config) end

  it("says what it found, and leaves it for the steps that follow", function()
    local ctx, result = run()
    assert.equal(("the Phoenix endpoint 'Elixir.Chat.Endpoint': 'Elixir.Chat.Endpoint.HTTP' (port %d), 100 acceptors"):format(
      chat.ports.endpoint), result)
    assert.equal("Elixir.Chat.Endpoint.HTTP", ctx.site.listeners[1].ref.name)
    assert.equal(("cowboy on ranch: chat_plain (port %d), 10 acceptors"):format(chat.ports.plain),
      select(2, run { port = chat.ports.plain }))
  end)

  it("fails where there is no such listener", function()
    local ctx, result, message, code = run { port = 1 }
    assert.is_nil(result)
    assert.matches("no ranch listener on port 1", message)
    assert.equal("not_detected", code)
    assert.is_nil(ctx.site)
  end)

  it("fails, naming the piece, where the listener is suspended already", function()
    chat.release:eval "ranch:suspend_listener(chat_workers)"
    local _, result, message, code = run { listener = "chat_workers" }
    chat.release:eval "ranch:resume_listener(chat_workers)"
    assert.is_nil(result)
    assert.matches("chat_workers .* has no acceptors supervisor", message)
    assert.equal("not_detected", code)
  end)

  it("warns of acceptors that somebody has terminated, and fails where none runs", function()
    local stopping = chat:context { port = chat.ports.plain }
    assert(chat:run("suspend_ranch_acceptors", stopping))
    local _, result, message = run { port = chat.ports.plain }
    assert.is_nil(result)
    assert.matches("no acceptor is running", message)
    assert.equal("true", chat.release:eval [[
      Listener = ranch_server:get_listener_sup(chat_plain),
      {_, Sup, _, _} = lists:keyfind(ranch_acceptors_sup, 1, supervisor:which_children(Listener)),
      [{Id, _, _, _} | _] = supervisor:which_children(Sup), element(1, supervisor:restart_child(Sup, Id)) =:= ok]])
    local ctx
    ctx, result = run { port = chat.ports.plain }
    assert.matches("1 acceptor$", result)
    assert.matches("^warning: 9 acceptors are terminated already", ctx.lines[1])
    assert(stopping:undo "acceptors")
  end)
end)
