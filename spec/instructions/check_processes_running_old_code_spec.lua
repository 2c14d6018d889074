local check = require "edeliver.relup.instructions.check_processes_running_old_code"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local live = require "support.live"

local atom, list = term.atom, term.list

describe("check_processes_running_old_code", function()
  local chat = shared(live.start)

  local function run(config, argument) return chat:run("check_processes_running_old_code", chat:context(config), argument) end
  local function dry_run()
    local ctx = chat:context()
    ctx.dry_run = true
    return chat:run("check_processes_running_old_code", ctx)
  end
  local function has_old_code(module) return chat.release:eval(("erlang:check_old_code('%s')"):format(module)) == "true" end
  local function load(...)
    for _, module in ipairs { ... } do assert(chat.release:eval(("{module, _} = code:load_file('%s')"):format(module))) end
  end

  it("asks about the application where no relup is at hand", function()
    assert.equal(atom "chat", check.arguments(nil, { name = "chat" }))
    assert.matches("^nobody runs old code of %d+ modules$", run())
  end)

  it("asks about the modules that it is given", function()
    assert.equal("nobody runs old code of 1 module", run({}, list { atom "chat_http" }))
    assert.equal("nobody runs old code of 0 modules", run({}, list {}))
  end)

  it("purges old code that nobody runs, which is no reason to refuse; a dry run leaves it", function()
    load("chat_http", "Elixir.Chat.PubSub")
    assert.matches("^nobody runs old code of %d+ modules$", (assert(dry_run())))
    assert.is_true(has_old_code "chat_http")
    assert.equal("nobody runs old code of 1 module; purged it from 1", run({}, list { atom "chat_http" }))
    assert.is_false(has_old_code "chat_http")
    assert.is_true(has_old_code "Elixir.Chat.PubSub")
    assert.matches("purged it from 1$", (assert(run())))
    assert.is_false(has_old_code "Elixir.Chat.PubSub")
  end)

  it("refuses as long as processes run it, and names modules and processes", function()
    local one = assert(chat.release:eval 'spawn(chat_http, work, [<<"/slow">>, 600000])')
    load("chat_http", "Elixir.Chat.PubSub")
    local refusal
    for _, ask in ipairs { dry_run, run } do
      local result, message, code = ask()
      assert.is_nil(result)
      assert.equal("old_code", code)
      refusal = ("old code is still in use on %s: chat_http, run by 1 process (%s). The upgrade would kill this process. "
        .. "Let it end, or restart it, and try again"):format(chat.node.name, one)
      assert.equal(refusal, message)
    end
    assert.is_false(has_old_code "Elixir.Chat.PubSub") -- the run, not the dry run, has purged it
    assert(run({}, list { atom "chat_counter" }))
    assert(chat.release:eval(("exit(list_to_pid(\"%s\"), kill)"):format(one)))
    assert.matches("purged it from 1$", (assert(run())))
  end)

  it("names a few of many processes", function()
    assert(chat.release:eval '[spawn(chat_http, work, [<<"/slow">>, 600000]) || _ <- lists:seq(1, 40)]')
    load "chat_http"
    local _, message = run()
    assert.matches("chat_http, run by 40 processes %(<[%d.]+>, <[%d.]+>, <[%d.]+>, <[%d.]+>, <[%d.]+>, and 35 more%)", message)
    assert(chat.release:eval "code:purge(chat_http)")
  end)

  it("asks about what the node's own relup loads, when a version is to be installed, up and down", function()
    assert.matches("^nobody runs old code of [5-9] modules$", run { version = "9.9.9" })
    assert(chat.release:eval 'release_handler:unpack_release("chat-2.0.0")')
    assert.equal("nobody runs old code of 4 modules", run { version = "2.0.0" })
    assert(chat.release:eval 'release_handler:install_release("2.0.0")')
    assert.matches("^nobody runs old code of 4 modules", (assert(run { version = "1.0.0" })))
  end)

  it("says so where there is no such application", function()
    local ctx = chat:context()
    ctx.name = "nothing"
    local result, _, code = chat:run("check_processes_running_old_code", ctx)
    assert.is_nil(result)
    assert.equal("no_application", code)
  end)
end)
