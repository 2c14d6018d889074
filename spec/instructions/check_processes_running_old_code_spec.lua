local check = require "edeliver.relup.instructions.check_processes_running_old_code"
local term = require "edeliver.relup.term"
local live = require "support.live"

describe("check_processes_running_old_code", function()
  local chat
  setup(function() chat = live.start() end)
  teardown(function() chat:stop() end)

  local function run(config, argument) return chat:run("check_processes_running_old_code", chat:context(config), argument) end

  it("asks about the application where no relup is at hand", function()
    assert.equal(term.atom "chat", check.arguments(nil, { name = "chat" }))
    assert.matches("^no old code of %d+ modules$", run())
  end)

  it("asks about the modules that it is given", function()
    assert.equal("no old code of 1 modules", run({}, term.list { term.atom "chat_http" }))
    assert.equal("no old code of 0 modules", run({}, term.list {}))
  end)

  it("fails with the modules of which old code is loaded, until it is purged", function()
    assert(chat.release:eval "{module, _} = code:load_file(chat_http), {module, _} = code:load_file('Elixir.Chat.PubSub')")
    local result, message, code = run()
    assert.is_nil(result)
    assert.matches("chat_http", message)
    assert.matches("'Elixir.Chat.PubSub'", message, 1, true)
    assert.equal("old_code", code)
    assert.is_nil((run({}, term.list { term.atom "chat_counter", term.atom "chat_http" })))
    assert(run({}, term.list { term.atom "chat_counter" }))
    assert(chat.release:eval "true = code:soft_purge(chat_http), true = code:soft_purge('Elixir.Chat.PubSub')")
    assert(run())
  end)

  it("asks about what the node's own relup loads, when a version is to be installed", function()
    assert.matches("^no old code of [5-9] modules$", run { version = "9.9.9" })
    assert(chat.release:eval 'release_handler:unpack_release("chat-2.0.0")')
    assert.equal("no old code of 4 modules", run { version = "2.0.0" })
  end)

  it("says so where there is no such application", function()
    local ctx = chat:context()
    ctx.name = "nothing"
    local result, _, code = chat:run("check_processes_running_old_code", ctx)
    assert.is_nil(result)
    assert.equal("no_application", code)
  end)
end)
