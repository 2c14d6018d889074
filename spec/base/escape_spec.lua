local escape = require "edeliver.relup.base.escape"

describe("escape.text", function()
  it("leaves text alone, of whatever script, and line ends", function()
    assert.equal("Grüße, 你好\nnext", escape.text "Grüße, 你好\nnext")
  end)

  it("shows control characters by their numbers", function()
    assert.equal("\\x1B[31mred\\x07\\x0D\\x00", escape.text "\27[31mred\7\r\0")
    assert.equal("a b", escape.text "a\tb")
    assert.equal("\\x7F", escape.text "\127")
  end)

  it("shows the second set of controls, and marks that turn the writing around", function()
    assert.equal("\\xC2\\x9B31m", escape.text "\xC2\x9B31m")
    assert.equal("\\xE2\\x80\\xAEtxt", escape.text "\u{202E}txt")
    assert.equal("\\xE2\\x81\\xA6", escape.text "\u{2066}")
  end)

  it("shows bytes that are no UTF-8", function()
    assert.equal("a\\xFF\\x9Bb", escape.text "a\xFF\x9Bb")
    assert.equal("ü \\xFF", escape.text "ü \xFF")
  end)

  it("does nothing to what it has done already", function()
    local once = escape.text "\27[2J\xFF\u{202E}\n"
    assert.equal(once, escape.text(once))
  end)
end)

describe("escape.line", function()
  it("ends no line, either", function() assert.equal("a\\x0A\\x1Bb", escape.line "a\n\27b") end)
end)

describe("escape.shortened", function()
  it("leaves a text that is short enough, and cuts no character in two", function()
    assert.equal("short", escape.shortened("short", 5))
    assert.equal("long...", escape.shortened("longer", 4))
    assert.equal("a...", escape.shortened("a\u{20AC}b", 3))
    assert.equal("\u{20AC}b...", escape.shortened("\u{20AC}bc\u{20AC}", 4))
  end)
end)

describe("escape.utf8", function()
  it("shows bytes that are no UTF-8, and leaves everything else to JSON", function()
    assert.equal("ü\27\n\u{9B}", escape.utf8 "ü\27\n\u{9B}")
    assert.equal("1.0\\x9B2J", escape.utf8 "1.0\x9B2J")
  end)
end)
