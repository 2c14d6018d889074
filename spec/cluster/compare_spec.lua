-- What nodes say of themselves, held against each other.

local compare = require "edeliver.relup.cluster.compare"

local function facts(changes)
  local list = {}
  for i, node in ipairs { "a@h", "b@h", "c@h" } do
    list[i] = { node = node, otp = "27", name = "app", version = "1.0.0", digest = "d1", members = {} }
    for _, other in ipairs { "a@h", "b@h", "c@h" } do
      if other ~= node then table.insert(list[i].members, other) end
    end
    for field, value in pairs(changes[i] or {}) do list[i][field] = value end
  end
  return list
end

describe("nodes of a rollout", function()
  it("are alike", function() assert.is_true(compare.nodes(facts {}, "2.0.0")) end)

  it("may be partly upgraded", function()
    assert.is_true(compare.nodes(facts { { version = "2.0.0", digest = "d2" } }, "2.0.0"))
  end)

  it("may each be alone", function()
    local alone = facts { { members = {} }, { members = {} }, { members = {} } }
    assert.is_true(compare.nodes(alone, "2.0.0"))
    assert.is_true(compare.are_alone(alone))
    assert.is_false(compare.are_alone(facts {}))
    assert.is_false(compare.are_alone { alone[1] })
  end)

  for name, case in pairs {
    ["another OTP"] = { { [2] = { otp = "26" } }, "not_alike", "27 on a@h, c@h; 26 on b@h" },
    ["another release"] = { { [3] = { name = "other" } }, "not_alike", "other on c@h" },
    ["a partition"] = { { [1] = { members = { "b@h" } }, [3] = { members = {} } }, "partition", "may be partitioned" },
    ["three versions"] = { { [1] = { version = "0.9.0" } }, "too_many_versions", "0.9.0 on a@h; 1.0.0 on b@h, c@h" },
    ["code that was patched"] = { { [2] = { digest = "dx" } }, "not_alike", "a@h, c@h differs from b@h" },
  } do
    it("are refused for " .. name, function()
      local fine, message, code = compare.nodes(facts(case[1]), "2.0.0")
      assert.is_nil(fine)
      assert.equal(case[2], code)
      assert.matches(case[3], message, 1, true)
    end)
  end
end)
