local clients = require "support.clients"
local live = require "support.live"
local shared = require "support.shared"

describe("check_ranch_connections", function()
  local chat = shared(live.start)

  local function run(config) return chat:try("check_ranch_connections", config) end

  it("tells websockets of channels from the rest", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 6 }
    sockets:open { port = chat.ports.endpoint, count = 2, topic = false, frame = "heartbeat" }
    sockets:body(sockets:get(chat.ports.endpoint, "/"), 2000)
    local ctx, result = run()
    assert.equal("6 websockets, 6 channels, 1 http connection", result)
    assert.same({ "info: 2 websockets without a channel: left alone" }, ctx.lines)
    assert.equal("6 websockets, 6 channels, 1 http connection", select(2, run { target = "channels" }))
  end)

  it("warns where nothing to suspend", function()
    local ctx, result = run { port = chat.ports.plain }
    assert.equal("0 websockets, 0 channels, 0 http connections", result)
    assert.matches("^warning: nothing to suspend", ctx.lines[1])
  end)

  it("fails where the target can't be had, or is none", function()
    local _, result, message, code = run { port = chat.ports.plain, target = "channels" }
    assert.is_nil(result)
    assert.matches("there are no channels", message)
    assert.equal("not_detected", code)
    assert.equal("badarg", select(4, run { target = "some" }))
  end)

  it("fails where it does not understand the connections", function()
    assert(chat.release:eval "ranch:start_listener(other, ranch_tcp, #{socket_opts => [{ip, {127,0,0,1}}]}, chat_protocol, [])")
    local _, result, message, code = run { listener = "other" }
    assert.is_nil(result)
    assert.matches("other .* speaks chat_protocol", message)
    assert.equal("not_detected", code)
  end)
end)
