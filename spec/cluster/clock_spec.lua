-- A node's clock held against this machine's.

local clock = require "edeliver.relup.cluster.clock"
local core = require "edeliver.relup.core"
local node = require "support.node"
local term = require "edeliver.relup.term"

describe("a node's clock", function()
  it("tells when something happened there, within what it says, of nodes whose clocks began at other times", function()
    local first, second = node.start {}, node.start {}
    finally(function() first:stop(); second:stop() end)
    for _, started in ipairs { first, second } do
      local connected <close> = started:connect()
      local seen = assert(clock.of(connected))
      assert.is_true(seen.within > 0)
      local before = core.now()
      local there = assert(connected:call("erlang", "monotonic_time", { term.atom "microsecond" }))
      local after = core.now()
      local here = seen:here(there)
      assert.is_true(math.abs(seen:there(here) - there) <= 1)
      assert.is_true(before - seen.within <= here and here <= after + seen.within,
        ("%f <= %f <= %f, within %f"):format(before, here, after, seen.within))
    end
  end)

  it("says what is wrong where the node is gone", function()
    local started = node.start {}
    local connected <close> = started:connect()
    started:stop()
    local seen, message, code = clock.of(connected)
    assert.is_nil(seen)
    assert.is_string(message)
    assert.is_string(code)
  end)
end)
