-- How long suspended processes stood still, of pid sets that no node needs to know.

local core = require "edeliver.relup.core"
local shared = require "support.shared"
local stand_still = require "edeliver.relup.undo.stand_still"
local erlang_node = require "support.node"

describe("standing still", function()
  local erlang = shared(erlang_node.start)
  local pids
  setup(function()
    local node <close> = erlang:connect()
    pids = assert(node:processes())
  end)

  -- Never less, by the clock that is measured with.
  local function sleep(ms)
    local till = core.now() + ms
    while core.now() < till do core.sleep(till - core.now()) end
  end

  local function part(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = pids[i] end
    return core.pids(list)
  end

  it("is measured from the first suspend to the last resume, and for each from its own", function()
    local still = stand_still.new()
    assert.same({ 0, nil, nil }, { still:so_far(), still.total, still:by_pid() })
    still:begin(part(1, 3))
    sleep(30)
    still:begin(part(4, 4))
    assert.is_true(still:so_far() >= 30)
    still:finish(part(4, 4), false)
    sleep(20)
    still:finish(part(1, 3), true)
    local each = still:by_pid()
    assert.is_true(each.p50 >= 50 and each.p99 >= 50 and each.max >= 50, each.p50)
    assert.is_true(still.total >= each.max)
    assert.equal(0, still:so_far())
  end)

  it("adds up where it begins again, and not while nobody does", function()
    local still = stand_still.new()
    for _ = 1, 2 do
      still:begin(part(1, 2))
      sleep(10)
      still:finish(part(1, 2), true)
      sleep(10)
    end
    assert.is_true(still.total >= 20)
    assert.equal(0, still:so_far())
  end)

  it("is none of those who were not asked, after all, and ends unknown where nobody says when", function()
    local still = stand_still.new()
    still:begin(part(1, 2))
    still:take_back(true)
    assert.equal(0, still:so_far())
    still:finish(part(1, 2), true)
    assert.is_nil(still:by_pid())
    still:begin(part(1, 1))
    still:forget()
    assert.same({ 0, nil }, { still:so_far(), still.total })
  end)
end)
