local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local servers = require "support.servers"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

describe("web.endpoints", function()
  local chat = shared(servers.start)
  setup(function() chat:serve "kiosk" end)

  it("finds endpoints by what their modules export, with their applications", function()
    local found = assert(endpoints.all(chat.node))
    table.sort(found, function(a, b) return a.name.name < b.name.name end)
    assert.same({
      { name = term.atom "Elixir.Chat.Endpoint", app = "chat" }, { name = term.atom "Elixir.Kiosk.Endpoint", app = "kiosk" },
    }, found)
    local both = endpoints.applications("chat", { applications = { "kiosk", term.atom "other" } })
    assert.same({ chat = true, kiosk = true, other = true }, both)
    assert.equal(2, #assert(endpoints.of(chat.node, both)))
    assert.same({ term.atom "Elixir.Kiosk.Endpoint" }, assert(endpoints.of(chat.node, { kiosk = true })))
  end)

  it("reads the idle timeout that sockets declare, where they do", function()
    assert.equal(45000, endpoints.idle_timeout(chat.node, { term.atom "Elixir.Kiosk.Endpoint" }))
    assert.is_nil(endpoints.idle_timeout(chat.node, { term.atom "Elixir.Chat.Endpoint" }))
  end)

  it("counts the clients that poll", function()
    assert.equal(0, endpoints.count_polls(chat.node))
    assert(chat.release:eval [[
      {ok, Sup} = supervisor:start_link({local, 'Elixir.Phoenix.Transports.LongPoll.Supervisor'}, kiosk_app, kiosk_polls),
      unlink(Sup), [{ok, _} = supervisor:start_child(Sup, [whereis(kernel_sup)]) || _ <- lists:seq(1, 3)], ok]])
    assert.equal(3, endpoints.count_polls(chat.node))
  end)
end)
