-- The guard in hard times, on a real node: flooded, frozen together with its node, or raced for.

local guard = require "edeliver.relup.undo.guard"
local relup = require "edeliver.relup"
local erlang_node = require "support.node"
local process = require "support.process"

local GRACE = 300

describe("a guard in hard times", function()
  local erlang, node, pids

  local function connect()
    return assert(relup.connect(erlang.name, { cookie = erlang.cookie, epmd_port = erlang.epmd_port }))
  end

  before_each(function()
    erlang = erlang_node.start {}
    node = connect()
    pids = node:pids(assert(node:eval "[element(2, gen_event:start()) || _ <- lists:seq(1, 50)]."))
  end)

  after_each(function()
    node:close()
    erlang:stop()
  end)

  -- An operator that has suspended all of them.
  local function suspended_by_one(options)
    local operator = connect()
    local one = assert(guard.start(operator, options))
    assert(one:suspend(pids))
    assert.equal("ok", (operator:bulk_suspend(pids, 5000)))
    return operator, one
  end

  it("undoes in time though others send it messages faster than it reads them", function()
    local operator, one = suspended_by_one { grace = GRACE }
    operator:close()
    assert.truthy(process.wait_until(function() return (guard.who(node) or {}).status == "gone" end))
    assert(node:eval("[spawn(fun Flood() -> Guard ! nonsense, Flood() end) || _ <- [1, 2, 3]], ok.", { Guard = one.pid }))
    local undone = process.wait_until(function()
      local left = node:suspended(pids)
      return left and #left == 0
    end, GRACE + 5000)
    assert.truthy(undone)
  end)
end)
