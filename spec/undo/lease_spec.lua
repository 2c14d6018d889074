-- Who undoes: each answer of a guard, the state that it leads to, and what is done. Against a fake node and guard; for real in
-- guard_spec, sequence_spec and fault_matrix_spec.

local leases = require "edeliver.relup.undo.lease"

-- What come_back gives; whether another guard can be started; then the state, the code, and how often each was asked.
local TABLE = {
  { "the guard takes us back", answers = { { true } }, state = "held", asked = 1 },
  { "it is late once", answers = { { nil, "late", "timeout" }, { true } }, state = "held", asked = 2 },
  { "it stays late", answers = { { nil, "late", "timeout" } }, state = "late", code = "timeout", asked = 3 },
  { "the node cannot be reached", answers = { { nil, "no", "nodedown" } }, closed = true, state = "late", code = "nodedown",
    asked = 1 },
  { "it undoes already", answers = { { nil, "lost", "guard_lost" } }, state = "expired", code = "guard_lost", asked = 1 },
  { "it is gone", answers = { { nil, "gone", "guard_gone" } }, begins = { true }, state = "held", asked = 1, begun = 1,
    told = true },
  { "it is gone, another upgrade is active", answers = { { nil, "gone", "guard_gone" } }, begins = { nil, "bob", "busy" },
    state = "expired", code = "guard_lost", asked = 1, begun = 1, other = true },
  { "it is gone, and there is no room for another", answers = { { nil, "gone", "guard_gone" } },
    begins = { nil, "no room", "system_limit" }, state = "lost", code = "system_limit", asked = 1, begun = 1 },
  { "it is gone in the middle of a call", answers = { { nil, "gone", "guard_gone" } }, in_flight = true, state = "lost",
    code = "guard_gone", asked = 1, begun = 0 },
  { "it is gone with the former life", answers = { { nil, "gone", "guard_gone" } }, begins = { true }, creations = { 1, 2 },
    state = "held", asked = 1, begun = 1, restarted = true, told = true },
}

describe("lease", function()
  local function made(case)
    local asked = { come_back = 0, begin = 0, sent = 0 }
    local creations = case.creations or { 1 }
    local node = { name = "myapp@web1", lives = 0 }
    function node.call()
      node.lives = node.lives + 1
      return creations[math.min(node.lives, #creations)]
    end
    function node.is_open() return not case.closed end
    local guard = { grace = 5000, pid = 1 }
    function guard.come_back()
      asked.come_back = asked.come_back + 1
      return table.unpack(case.answers[math.min(asked.come_back, #case.answers)], 1, 3)
    end
    function guard.begin()
      asked.begin = asked.begin + 1
      return table.unpack(case.begins, 1, 3)
    end
    function guard.suspend(_, pids)
      asked.told = pids
      return true
    end
    function guard.hand_over() asked.sent = asked.sent + 1 end
    return leases.new {
      node = node, guard = guard, owed = function() return { "pid" }, {} end, on_restart = function() asked.restarts = true end,
      in_flight = function() return case.in_flight end,
    }, asked
  end

  for _, case in ipairs(TABLE) do
    it(("is %s where %s"):format(case.state, case[1]), function()
      local lease, asked = made(case)
      local claimed, why, code = lease:claim()
      assert.equal(case.state, lease.state)
      assert.equal(case.state == "held" or nil, claimed)
      assert.equal(case.code, code)
      assert.equal(lease.why, why)
      assert.equal(case.state ~= "held", why ~= nil)
      assert.same({ case.asked, case.begun or 0 }, { asked.come_back, asked.begin })
      assert.same(case.told and { "pid" } or nil, asked.told)
      assert.equal(case.other, lease.other)
      assert.equal(case.restarted, lease.restarted or nil)
      assert.equal(case.restarted, asked.restarts)
      -- What is the guard's stays the guard's; anything else may be claimed again.
      lease:claim()
      assert.equal(case.state == "expired", asked.come_back == case.asked)
    end)
  end

  it("tells another guard what is owed, also where that was late at first", function()
    local lease, asked = made { answers = { { nil, "gone", "guard_gone" }, { true } }, begins = { nil, "late", "timeout" } }
    assert.equal("timeout", select(3, lease:claim()))
    assert.same({ "lost" }, { lease.state, asked.told })
    assert.is_true(lease:claim())
    assert.same({ "held", { "pid" }, true }, { lease.state, asked.told, lease.succeeded })
  end)

  it("tells it again where it had not heard of it", function()
    local case = { answers = { { nil, "gone", "guard_gone" }, { true } }, begins = { true } }
    local lease, asked = made(case)
    local suspend = lease.guard.suspend
    function lease.guard.suspend() return nil, "late", "timeout" end
    assert.equal("timeout", select(3, lease:claim()))
    lease.guard.suspend = suspend
    assert.is_true(lease:claim())
    assert.same({ { "pid" }, 1 }, { asked.told, asked.begin })
  end)

  it("is left to the guard once, and never claimed again", function()
    local lease, asked = made(TABLE[1])
    lease:hand_over "a second signal"
    assert.same({ "expired", true, 1 }, { lease.state, lease.handed_over, asked.sent })
    assert.same({ nil, "a second signal", "guard_lost" }, { lease:claim() })
    assert.equal(0, asked.come_back)
  end)
end)
