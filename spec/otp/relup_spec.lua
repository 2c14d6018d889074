local relup = require "edeliver.relup.otp.relup"
local live = require "support.live"

describe("otp.relup", function()
  local chat
  setup(function() chat = live.start() end)
  teardown(function() chat:stop() end)

  it("has nothing before the release is unpacked", function()
    local modules, message, code = relup.loaded_modules(chat.node, "2.0.0")
    assert.is_nil(modules)
    assert.matches("no relup from the running release to 2.0.0", message)
    assert.equal("no_relup", code)
  end)

  it("gives the modules that the upgrade loads", function()
    assert(chat.release:eval 'release_handler:unpack_release("chat-2.0.0")')
    local names = {}
    for i, module in ipairs(assert(relup.loaded_modules(chat.node, "2.0.0"))) do names[i] = module.name end
    table.sort(names)
    assert.same({ "Elixir.Chat.RoomChannel", "chat_counter", "chat_http", "chat_socket" }, names)
  end)
end)
