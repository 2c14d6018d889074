local application = require "edeliver.relup.otp.application"
local live = require "support.live"
local shared = require "support.shared"

describe("otp.application", function()
  local chat = shared(live.start)

  it("gives the modules of an application", function()
    local names = {}
    for _, module in ipairs(assert(application.modules(chat.node, "chat"))) do names[module.name] = true end
    assert.is_true(names.chat_counter and names["Elixir.Chat.Endpoint"])
  end)

  it("says so where there is no such application", function()
    local modules, message, code = application.modules(chat.node, "nothing")
    assert.is_nil(modules)
    assert.matches("no application nothing", message)
    assert.equal("no_application", code)
  end)

  it("knows what runs", function()
    assert.is_true(application.is_running(chat.node, "chat"))
    assert.is_false(application.is_running(chat.node, "mnesia"))
  end)
end)
