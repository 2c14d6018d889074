-- A rollout of a plain mix release, which has no relup: deployed to each node, and rolled back where one is not healthy.

local depots = require "support.depot"
local relup = require "edeliver.relup"

describe("a rollout of a plain mix release", function()
  local one, two

  setup(function()
    one, two = depots.start { items = 100 }, depots.start { items = 100 }
  end)
  teardown(function()
    one:stop()
    two:stop()
  end)

  local function roll(config)
    config.nodes, config.release, config.min_healthy_time = {}, depots.release "2.0.0", 0
    for i, depot in ipairs { one, two } do
      local node = depot.release
      config.nodes[i] = { name = node.name, epmd_port = node.epmd_port, cookie = node.cookie }
    end
    config.on_event = function() end
    return relup.rollout(config)
  end

  local function states(report)
    return report.nodes[1].state .. " " .. report.nodes[2].state
  end

  it("goes back where a node is not healthy, and is deployed where all are", function()
    local plan = assert(roll { plan_only = true })
    assert.equal("2.0.0", plan.version)
    local report, message, failed = roll {
      auto_revert = true, healthy_deadline = 2000, healthy = "test \"$NODE\" != " .. two.release.name,
    }
    assert.is_nil(report)
    assert.equal("reverted reverted", states(failed), message)
    one:is_whole "1.0.0"
    two:is_whole "1.0.0"

    local done, problem = roll { together = true }
    assert(done, problem)
    assert.equal("done done", states(done))
    one:is_whole "2.0.0"
    two:is_whole "2.0.0"
    assert.equal("already already", states(assert(roll {})))
  end)
end)
