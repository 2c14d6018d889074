-- The rehearsal: code_change of the new code on the states of running processes, in a VM beside the node.

local process = require "support.process"
local rehearsal = require "edeliver.relup.step.rehearsal"
local swapped = require "support.swapped"

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
    assert.is_true(took < 5000 * process.patience, ("%.0f ms"):format(took))
    assert.equal("{good,1,[]}", scene:state(pids[1]))
    assert.equal("{crashes,1,[]}", scene:state(bad[1]))
    assert.equal(1, scene:version "server")
    assert(scene.node:call("erlang", "exit", { bad[1], require("edeliver.relup.term").atom "kill" }))
    assert.matches("9999 states of swapped_server", assert(rehearse "all"), 1, true)
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
