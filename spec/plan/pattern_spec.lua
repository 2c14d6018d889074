-- Patterns of versions: what they match is what Erlang's re says, asked as systools asks it; what is not read is refused.

local pattern = require "edeliver.relup.plan.pattern"
local process = require "support.process"

local PATTERNS = {
  [[^8\.5\.[0-9]+(?:\.[0-9]+)*$]], [[^4\.2$]],
  [[1.*]], [[1\.\d+\.\d+]], [[(1|2)\.0\.0]], [[^(?:1|2\.[^1])\.?0*$]], [[1\.[0-4]{1,2}]],
  [[^1\.2\.3(-rc\.\d)?$]], [[[a-c]+\w*]], [[1\.0]], [[x{2}]], [[]], [[^$]], [[(a*)*b]], [[1\.0\.0\+h[0-9a-f]{8}]],
}
local VERSIONS = {
  "8.5.3", "8.5.3.1", "8.5", "4.2", "4x2", "1", "1.0.0", "2.0.0", "2.20", "1.44", "1.444", "1.2.3", "1.2.3-rc.1", "abc_9", "1.0",
  "xx", "xxx", "", "aab", "1.0.0+h0123abcd", "11.0",
}

describe("a pattern", function()
  it("matches what Erlang's re matches", function()
    local function erlang(list)
      local items = {}
      for i, text in ipairs(list) do items[i] = ("%q"):format(text) end
      return "[" .. table.concat(items, ",") .. "]"
    end
    local asked = ([[erl -noshell -boot start_clean -eval %s]]):format(process.quote(([[
      [[case re:run(V, list_to_binary(P), [unicode, {capture, first, list}]) of {match, [V]} -> io:put_chars("1");
        _ -> io:put_chars("0") end || V <- %s] || P <- %s], halt().]]):format(erlang(VERSIONS), erlang(PATTERNS))))
    local wanted, found = process.output(asked), {}
    for _, expression in ipairs(PATTERNS) do
      for _, version in ipairs(VERSIONS) do found[#found + 1] = assert(pattern.matches(expression, version) ~= nil) and
        (pattern.matches(expression, version) and "1" or "0") end
    end
    assert.equal(#PATTERNS * #VERSIONS, #wanted, wanted)
    assert.equal(wanted, table.concat(found))
  end)

  it("is refused where it is of a kind that is not read", function()
    for _, expression in ipairs { "(?=1)", [[\bx]], "1(", "1)", "[[:alpha:]]", "a+?", "*", "[a" } do
      local matches, message, code = pattern.matches(expression, "1")
      assert.is_nil(matches)
      assert.equal("not_supported", code)
      assert.truthy(message:find(expression, 1, true) or message:find("pattern", 1, true))
    end
  end)
end)
