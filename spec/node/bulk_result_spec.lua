-- A bulk answer, sorted.

local bulk_result = require "edeliver.relup.node.bulk_result"
local core = require "edeliver.relup.core"
local term = require "edeliver.relup.term"

core.set_types(term.types)

-- A pid of a node that need not be there.
local function pid(number)
  return term.types.new_opaque("pid", "Xw\6node@h\0\0\0" .. string.char(number) .. "\0\0\0\0\0\0\0\3")
end

local function as_list(set)
  local list = {}
  for i, one in set:iter() do list[i] = one end
  return list
end

describe("a bulk answer", function()
  local asked = { pid(1), pid(2), pid(3), pid(4) }

  it("is sorted: who has confirmed, who is dead, who may still do it", function()
    local result = bulk_result.sort(asked, {
      { pid = asked[1], reason = "noproc" }, { pid = asked[2], reason = "timeout" }, { pid = asked[4], reason = "error" },
    })
    assert.same({ asked[3] }, as_list(result.done))
    assert.same({ asked[1] }, as_list(result.dead))
    assert.same({ asked[2], asked[4] }, as_list(result.silent))
  end)

  it("without errors is done", function()
    local result = bulk_result.sort(asked)
    assert.same({ asked, {}, {} }, { as_list(result.done), as_list(result.dead), as_list(result.silent) })
    assert.same({ {}, {}, {} }, { as_list(bulk_result.sort({}).done), {}, {} })
  end)
end)
