-- The watch over a node that was upgraded: when it is looked at again.

local core = require "edeliver.relup.core"
local watch = require "edeliver.relup.cluster.watch"

describe("the watch over an upgraded node", function()
  local asked, rollout, node

  before_each(function()
    asked = 0
    rollout = {
      config = { min_healthy_time = 10000, healthy_deadline = 300000 }, started = core.now(),
      journal = { write = function() end },
    }
    node = {
      name = "a@h", state = "watching", settled = true, upgraded_at = core.now(),
      process = { tell = function() asked = asked + 1 end },
    }
    watch.node(rollout, node)
    assert.equal(1, asked)
  end)

  local function answers(event)
    node.health, node.asked = event, false
    watch.node(rollout, node)
  end

  it("looks the more seldom the more a look costs the node, and often enough for it to be done", function()
    answers { now = {}, took = 500 }
    local pause = node.next_look - core.now()
    assert.is_true(pause > 4000 and pause <= 4500, pause)
    node.health.seen, node.health.took = nil, 60000
    watch.node(rollout, node)
    assert.is_true(node.next_look - core.now() <= 10000, node.next_look - core.now())
    assert.equal("watching", node.state)
  end)

  it("does not look more seldom for a check of the operator's own that takes its time", function()
    node.next_look = core.now() - 25000
    answers { now = {}, took = 5 }
    assert.is_true(node.next_look - core.now() <= 1000, node.next_look - core.now())
  end)
end)
