-- Text in columns, as terminals count them.

local columns = require "edeliver.relup.cli.columns"

describe("cli.columns", function()
  it("counts characters as terminals do", function()
    for text, width in pairs {
      [""] = 0, ["abc"] = 3, ["é…✓"] = 3, ["日本"] = 4, ["e\u{301}"] = 1, ["🚀"] = 2, ["\xff\xfe"] = 2,
    } do
      assert.equal(width, columns.width(text), text)
    end
  end)

  it("cuts at a character's end", function()
    assert.equal("abc", columns.cut("abc", 3))
    assert.equal("ab…", columns.cut("abcd", 3))
    assert.equal("…", columns.cut("abcd", 1))
    assert.equal("é…", columns.cut("ééé", 2))
    assert.equal("日…", columns.cut("日本語", 4))
    assert.equal("日…", columns.cut("日本語", 3))
    assert.equal("e\u{301}…", columns.cut("e\u{301}xyz", 2))
  end)

  it("aligns texts at the left and numbers at the right", function()
    assert.same({ "NAME   N", "a      1", "bcd   20" }, columns.lines({ "NAME", "N" }, { { "a", 1 }, { "bcd", 20 } }))
    assert.same({ "NAME  N" }, columns.lines({ "NAME", "N" }, {}))
    assert.same({ "N   X", "1   a", "xy  b" }, columns.lines({ "N", "X" }, { { 1, "a" }, { "xy", "b" } }))
  end)

  it("makes a table fit: the widest columns are cut, numbers never", function()
    local long = ("x"):rep(40)
    local lines = columns.lines({ "A", "B", "C" }, { { long, long .. long, 123456789012 } }, 60)
    assert.equal(60, utf8.len(lines[2]))
    assert.equal(("x"):rep(21) .. "…  " .. ("x"):rep(21) .. "…  123456789012", lines[2])
    -- Nothing is narrower than it has to be to be read; such a table is wider.
    assert.equal(("x"):rep(7) .. "…  123456789012", columns.lines({ "A", "C" }, { { long, 123456789012 } }, 10)[2])
    assert.equal(long .. "  1", columns.lines({ "A", "C" }, { { long, 1 } }, 43)[2])
  end)
end)
