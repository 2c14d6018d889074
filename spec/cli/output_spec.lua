-- What the program prints: nothing that comes from a node may do anything to a terminal.

local output = require "edeliver.relup.cli.output"
local html = require "edeliver.relup.cli.html"
local report = require "edeliver.relup.report"
local progress = require "edeliver.relup.cli.progress"

describe("cli.output.escape", function()
  it("leaves text alone, of whatever script, and line ends", function()
    assert.equal("Grüße, 你好\nnext", output.escape "Grüße, 你好\nnext")
  end)

  it("shows control characters by their numbers", function()
    assert.equal("\\x1B[31mred\\x07\\x0D\\x00", output.escape "\27[31mred\7\r\0")
    assert.equal("a b", output.escape "a\tb")
    assert.equal("\\x7F", output.escape "\127")
  end)

  it("shows the second set of controls, and marks that turn the writing around", function()
    assert.equal("\\xC2\\x9B31m", output.escape "\xC2\x9B31m")
    assert.equal("\\xE2\\x80\\xAEtxt", output.escape "\u{202E}txt")
    assert.equal("\\xE2\\x81\\xA6", output.escape "\u{2066}")
  end)

  it("shows bytes that are no UTF-8", function()
    assert.equal("a\\xFF\\x9Bb", output.escape "a\xFF\x9Bb")
    assert.equal("ü \\xFF", output.escape "ü \xFF")
  end)
end)

describe("cli.progress", function()
  it("says bytes for people", function()
    assert.equal("999 B", progress.bytes(999))
    assert.equal("1.5 kB", progress.bytes(1500))
    assert.equal("12.3 MB", progress.bytes(12300000))
  end)
end)

describe("cli.html", function()
  local function finished(fields)
    local made = report.new { node = "app@h", name = "<app>", version = "1\"2", at = 0 }
    made.ok, made.suspended = false, 3
    made.stood_still = { p50 = 1.25, p99 = 2.5, max = 3 }
    made.message = "a & b <script>alert(1)</script>\27[2J"
    made.steps = {
      { name = "one", status = "done", at = 0, ms = 10, result = "x<y" },
      { name = "two", status = "failed", at = 10, ms = 30, message = "no" },
    }
    for name, value in pairs(fields or {}) do made[name] = value end
    return made
  end

  it("escapes every text", function()
    local page = html.page(finished())
    assert.matches("&lt;app&gt; on app@h to 1&quot;2", page, 1, true)
    assert.matches("a &amp; b &lt;script&gt;alert(1)&lt;/script&gt;\\x1B[2J", page, 1, true)
    assert.matches("x&lt;y", page, 1, true)
    assert.is_nil(page:find("<script", 1, true))
  end)

  it("needs nothing but itself", function()
    local page = html.page(finished())
    for _, outside in ipairs { "http://", "https://", "src=", "url(", "@import", "<link" } do
      assert.is_nil(page:find(outside, 1, true), outside)
    end
  end)

  it("draws the steps to scale", function()
    local page = html.page(finished())
    assert.matches("left:0.000%%;width:25.000%%", page)
    assert.matches("left:25.000%%;width:75.000%%", page)
  end)

  it("says what is left behind", function()
    local page = html.page(finished { still_suspended = { "<0.1.0>" } })
    assert.matches('<pre id="left">1 processes may still be suspended', page, 1, true)
  end)
end)
