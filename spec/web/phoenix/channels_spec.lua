local channels = require "edeliver.relup.web.phoenix.channels"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local clients = require "support.clients"
local live = require "support.live"

describe("web.channels", function()
  local endpoints = { term.atom "Elixir.Chat.Endpoint" }
  local chat = shared(live.start)

  local function connections()
    return chat.node:pids(assert(chat.node:eval "ranch:procs('Elixir.Chat.Endpoint.HTTP', connections)."))
  end

  it("finds nothing where nobody has joined", function()
    assert.equal(0, #assert(channels.find(chat.node, endpoints)))
    assert.equal(0, #channels.of(chat.node, connections(), chat.node:pids {}))
  end)

  it("finds the channels, and the connections that have some", function()
    local without <close> = clients.open { port = chat.ports.endpoint, count = 3, topic = false, frame = "heartbeat" }
    live.eventually(function() return #connections() == 3 end)
    local bare = connections()
    local with <close> = clients.open { port = chat.ports.endpoint, count = 7 }
    local found = assert(channels.find(chat.node, endpoints))
    assert.equal(7, #found)
    local of, others = channels.of(chat.node, connections(), found)
    assert.equal(3, #others:both(bare))
    assert.equal(7, #assert(channels.of(chat.node, of, found)))
    assert.equal(7, #of)
    assert.equal(0, #of:both(bare))
    -- As Phoenix has it: the transport is the first of a channel's callers.
    local transports = {}
    for _, info in ipairs(chat.node:process_info(found, { "dictionary" })) do
      for _, entry in ipairs(info.dictionary) do
        if entry[1] == term.atom "$callers" then transports[#transports + 1] = entry[2][1] end
      end
    end
    assert.equal(7, #transports)
    assert.equal(0, #of:minus(transports))
    with:close()
    without:close()
    live.eventually(function() return #assert(channels.find(chat.node, endpoints)) == 0 end)
  end)
end)
