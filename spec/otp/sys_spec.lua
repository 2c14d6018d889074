local sys = require "edeliver.relup.otp.sys"
local term = require "edeliver.relup.term"
local live = require "support.live"

describe("otp.sys", function()
  local chat, counter
  setup(function()
    chat = live.start()
    counter = assert(chat.node:call("erlang", "whereis", { term.atom "chat_counter" }))
  end)
  teardown(function() chat:stop() end)

  it("tells whether a process runs or sits suspended, and its module", function()
    assert.same({ "running", "gen_server" }, { sys.get_status(chat.node, counter) })
    assert.equal("ok", chat.node:bulk_suspend({ counter }))
    assert.same({ "suspended", "gen_server" }, { sys.get_status(chat.node, counter) })
    assert.equal("ok", chat.node:bulk_resume({ counter }))
    assert.equal("running", (sys.get_status(chat.node, counter)))
  end)

  it("says of dead and of silent processes what they are", function()
    local dead = assert(chat.node:eval
      "P = spawn(fun() -> ok end), R = monitor(process, P), receive {'DOWN', R, _, _, _} -> P end.")
    assert.equal("noproc", select(3, sys.get_status(chat.node, dead)))
    local silent = assert(chat.node:eval "spawn(timer, sleep, [10000]).")
    local status, message, code = sys.get_status(chat.node, silent, 50)
    assert.is_nil(status)
    assert.matches("no status in time", message)
    assert.equal("timeout", code)
  end)
end)
