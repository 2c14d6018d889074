-- bulk_change_code on a real node: processes of a module that fail, crash, are late, are dead, or are not suspended.

local swapped = require "support.swapped"
local term = require "edeliver.relup.term"

local atom, list = term.atom, term.list

describe("bulk_change_code", function()
  local scene

  setup(function()
    scene = swapped.start()
    scene.good, scene.bad = scene:servers("good", 2000), {}
    for _, kind in ipairs { "fails", "crashes", "slow" } do scene.bad[kind] = scene:servers(kind, 1)[1] end
    for _, pids in ipairs { scene.good, scene.bad.fails, scene.bad.crashes, scene.bad.slow } do
      assert.equal("ok", scene.node:bulk_suspend(pids, 20000))
    end
    assert(scene.node:eval("{module, _} = code:load_abs(File).", {
      File = term.charlist(scene.folder .. "/lib/swapped-2/ebin/swapped_server"),
    }))
  end)

  teardown(function() scene:stop_all() end)

  local function change(pids, timeout)
    return scene.node:bulk_change_code(pids, "swapped_server", atom "one", list { atom "extra" }, timeout)
  end

  it("changes all of them, in one piece", function()
    assert.equal("ok", change(scene.good, 20000))
    assert.equal("ok", scene.node:bulk_resume(scene.good, 20000))
    for _, i in ipairs { 1, 1000, 2000 } do assert.equal("{good,2,[{one,[extra]}]}", scene:state(scene.good[i])) end
    assert.equal("ok", scene.node:bulk_change_code({}, atom "swapped_server", atom "one", list {}))
  end)

  it("says why each that fails does, in its own words", function()
    assert.equal("ok", scene.node:bulk_suspend({ scene.good[1] }, 20000))
    local kind, count, errors = change({ scene.bad.fails, scene.good[1], scene.bad.crashes }, 20000)
    assert.equal("errors", kind)
    assert.equal(2, count)
    assert.equal(scene.bad.fails, errors[1].pid)
    assert.equal("error", errors[1].reason)
    assert.equal("{error,does_not_want_to}", tostring(errors[1].answer))
    assert.equal(scene.bad.crashes, errors[2].pid)
    assert.matches("is_not_able_to", tostring(errors[2].answer), 1, true)
    assert.equal("ok", scene.node:bulk_resume({ scene.good[1] }, 20000))
  end)

  it("is refused by those that are not suspended", function()
    local kind, count, errors = change({ scene.good[7] }, 20000)
    assert.equal("errors", kind)
    assert.equal(1, count)
    assert.matches("unknown_system_msg", tostring(errors[1].answer), 1, true)
  end)

  it("tells the late from the dead", function()
    local dead = scene:servers("good", 1)[1]
    assert(scene.node:call("erlang", "exit", { dead, atom "kill" }))
    local kind, count, errors = change({ dead, scene.bad.slow }, 300)
    assert.equal("not_supported", kind)
    assert.equal(2, count)
    assert.equal("noproc", errors[1].reason)
    assert.equal("timeout", errors[2].reason)
    assert.is_nil(errors[2].answer)
  end)

  it("raises for what is no module", function()
    assert.error_matches(function() scene.node:bulk_change_code({}, 42, atom "one", list {}) end, "needs a module")
  end)
end)
