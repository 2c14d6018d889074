-- A rollout of a plain mix release, which has no relup: deployed to each node, and rolled back where one is not healthy.

local depots = require "support.depot"
local process = require "support.process"
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
    config.on_event = config.on_event or function() end
    return relup.rollout(config)
  end

  local function states(report)
    return report.nodes[1].state .. " " .. report.nodes[2].state
  end

  -- Every `mix release` makes a cookie of its own: that of the release that is brought is another one than the nodes have.
  it("takes the cookie that the operator has, and shows the plan", function()
    local home, folder = process.temporary_folder(), process.temporary_folder()
    process.shell([[printf %%s %s >%s/.erlang.cookie && chmod 400 %s/.erlang.cookie && cp -r %s %s/depot &&
      rm -f %s/depot/releases/COOKIE && printf OTHER >%s/depot/releases/COOKIE]], one.release.cookie, home, home,
      depots.release "2.0.0", folder, folder, folder)
    local shown = one:run(("rollout %s/depot --plan --node NODE"):format(folder), { env = { HOME = home } })
    assert.equal(0, shown.code, shown.err)
    assert.matches("1%.0%.0 +2%.0%.0 +hot", shown.out)
    process.remove_folder(home)
    process.remove_folder(folder)
  end)

  it("goes back where a node is not healthy, and is deployed where all are", function()
    local held
    local plan = assert(roll { plan_only = true, on_event = function(event)
      if event.event ~= "ready_to_begin" then return end
      held = { one:deploy "2.0.0", one:json "NODE doctor", one:deploy("2.0.0", "--plan") }
    end })
    assert.equal(1, held[1].code)
    assert.equal("busy", held[1].json.error.code)
    assert.matches("A rollout has " .. one.release.name, held[1].err, 1, true)
    assert.matches("A rollout has it", held[2].out, 1, true)
    assert.equal(0, held[3].code, held[3].err)
    one:is_whole "1.0.0"
    assert.equal("2.0.0", plan.version)
    local report, message, failed = roll {
      auto_revert = true, healthy_deadline = 2000, healthy = "test \"$NODE\" != " .. two.release.name,
    }
    assert.is_nil(report)
    assert.equal("reverted reverted", states(failed), message)
    one:is_whole "1.0.0"
    two:is_whole "1.0.0"

    -- A program that hangs holds no sockets up for long.
    local hung
    report, message, failed = roll { together = true, on_event = function(event)
      if hung or event.step ~= "swap" then return end
      hung = true
      process.sleep(22000)
    end }
    assert.is_nil(report)
    assert.matches("the other nodes were not ready within 20 s", message, 1, true)
    assert.equal("failed failed", states(failed))
    one:is_whole "1.0.0"
    two:is_whole "1.0.0"

    -- Steps of one's own are run on each node, before all swap and behind it; a tarball's signature is checked before anything.
    local folder, ran = process.temporary_folder(), {}
    local steps = assert(io.open(folder .. "/relup.lua", "w"))
    steps:write('return { before_swap = { { name = "drain", run = function() return "drained" end } },',
      '  after_swap = { { name = "warm_up", run = function() return "warm" end } } }')
    steps:close()
    local _, unsigned, refused = roll { steps = folder .. "/relup.lua", verify_key = folder .. "/key.pem" }
    assert.is_string(unsigned)
    assert.equal("signature", refused.code, unsigned)
    local done, problem = roll { together = true, steps = folder .. "/relup.lua", on_event = function(event)
      if event.event == "step" then ran[#ran + 1] = event.node .. " " .. event.step end
    end }
    assert(done, problem)
    process.remove_folder(folder)
    for _, depot in ipairs { one, two } do
      local order = {}
      for _, name in ipairs(ran) do
        local step = name:match("^" .. depot.release.name:gsub("%p", "%%%0") .. " (.*)")
        if step == "drain" or step == "swap" or step == "warm_up" then order[#order + 1] = step end
      end
      assert.equal("drain swap warm_up", table.concat(order, " "))
    end
    assert.equal("done done", states(done))
    one:is_whole "2.0.0"
    two:is_whole "2.0.0"
    assert.equal("already already", states(assert(roll {})))
  end)
end)
