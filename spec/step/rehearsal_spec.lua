-- The rehearsal: code_change of the new code on the states of running processes, in a VM beside the node.

local process = require "support.process"
local rehearsal = require "edeliver.relup.step.rehearsal"
local swapped = require "support.swapped"
local term = require "edeliver.relup.term"

describe("a rehearsal", function()
  local scene

  before_each(function() scene = swapped.start() end)
  after_each(function() scene:stop_all() end)

  local function rehearse(most)
    return rehearsal.rehearse(scene.node, "2", { scene:stop("2", "up") }, most)
  end

  it("finds and names one state in 10,000 that the new code cannot take, and touches nobody", function()
    local pids, bad = scene:servers("good", 9999), scene:servers("crashes", 1)
    local started = process.now()
    local tried, message, code = rehearse "all"
    local took = process.now() - started
    assert.is_nil(tried)
    assert.equal("code_change", code)
    assert.matches(tostring(bad[1]), message, 1, true)
    assert.matches("is_not_able_to", message, 1, true)
    assert.is_true(took < 8000 * process.patience, ("%.0f ms"):format(took))
    assert.equal("{good,1,[]}", scene:state(pids[1]))
    assert.equal("{crashes,1,[]}", scene:state(bad[1]))
    assert.equal(1, scene:version "server")
    assert(scene.node:call("erlang", "exit", { bad[1], term.atom "kill" }))
    assert.matches("9999 states of swapped_server", assert(rehearse "all"), 1, true)
  end)

  for _, kind in ipairs { "machine", "channel" } do
    it(("knows a %s, and so does the swap"):format(kind), function()
      local module = term.atom("swapped_" .. kind)
      local function start(state)
        return assert(scene.node:eval(kind == "machine" and "{ok, Pid} = swapped_machine:start(State), Pid."
          or "{ok, Pid} = 'Elixir.Phoenix.Channel.Server':start(swapped_channel, State), Pid.", { State = term.atom(state) }))
      end
      local good, bad = start "good", start "fails"
      local function stop(version, mode)
        local made = scene:stop(version, mode, { modules = { kind } })
        made.suspend, made.change = { module }, { { module = module, mode = mode, extra = term.list {} } }
        return made
      end
      local _, message, code = rehearsal.rehearse(scene.node, "2", { stop("2", "up") }, "all")
      assert.equal("code_change", code)
      assert.matches(tostring(bad), message, 1, true)
      assert(scene.node:call("erlang", "exit", { bad, term.atom "kill" }))
      assert.matches("code_change of 1 state of swapped_" .. kind, assert(rehearsal.rehearse(scene.node, "2",
        { stop("2", "up") }, "all")))
      assert.matches("{good,1}", scene:state(good), 1, true)
      assert.equal("ok", scene:swap(stop("2", "up")).outcome)
      assert.matches("{good,2}", scene:state(good), 1, true)
      assert.equal("ok", scene:swap(stop("1", "down")).outcome)
      assert.matches("{good,1}", scene:state(good), 1, true)
    end)
  end

  it("tells what only the node itself has from what the new code cannot do", function()
    assert(scene.node:eval("spawn(fun() -> register(swapped_echo, self()), ets:new(swapped_table, [named_table]), "
      .. "receive stop -> ok end end), ok."))
    assert(process.wait_until(function() return scene.node:eval "ets:info(swapped_table, name) /= undefined." end))
    scene:servers("sends", 3)
    scene:servers("looks_up", 2)
    scene:servers("good", 4)
    local said, back = rehearse "all"
    assert.matches("code_change of 9 states of swapped_server (5 unknown: code_change wants what only the node itself has)", said,
      1, true)
    assert.is_nil(back)
    -- Where the node has no such process either, it is the new code that fails.
    assert(scene.node:eval("swapped_echo ! stop, ok."))
    assert(process.wait_until(function() return tostring(scene.node:eval "whereis(swapped_echo).") == "undefined" end))
    local _, message, code = rehearse "all"
    assert.equal("code_change", code)
    assert.matches("badarg", message, 1, true)
  end)

  it("says of which states there is no way back", function()
    scene:servers("good", 20)
    local stays = scene:servers("no_way_back", 1)
    local said, back = rehearse "all"
    assert.matches("^code_change of 21 states of swapped_server was rehearsed", said)
    assert.matches("code_change back to the version of now fails for 1 process: ", back, 1, true)
    assert.matches(tostring(stays[1]), back, 1, true)
    assert.matches("{no_way_back,1,[]}", scene:state(stays[1]), 1, true)
  end)

  it("names those that refuse, too, and looks at no more than it is asked to", function()
    scene:servers("good", 20)
    assert.matches("^code_change of 5 states of swapped_server", assert(rehearse(5)))
    local bad = scene:servers("fails", 1)
    local _, message = rehearse "all"
    assert.matches(tostring(bad[1]), message, 1, true)
    assert.matches("does_not_want_to", message, 1, true)
  end)
end)
