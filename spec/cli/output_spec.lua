-- What the program prints: nothing that comes from a node may do anything to a terminal.

local output = require "edeliver.relup.cli.output"
local report_page = require "edeliver.relup.cli.report_page"
local report = require "edeliver.relup.run.report"
local progress = require "edeliver.relup.cli.progress"
local term = require "edeliver.relup.term"

describe("cli.output in JSON", function()
  -- The document of a result, as a program reads it.
  local function document(result)
    local written, stdout = {}, io.stdout
    local out = output.new { command = "stuck", node = "app@h", json = true }
    out:give(result)
    finally(function() rawset(io, "stdout", stdout) end)
    rawset(io, "stdout", { write = function(_, ...) written[#written + 1] = table.concat { ... } end, flush = function() end })
    out:close(0)
    rawset(io, "stdout", stdout)
    local text = table.concat(written)
    return assert(require("dkjson").decode(text)), text
  end

  it("holds texts, numbers and booleans; every other term as Erlang prints it", function()
    local found = document {
      list = output.array { 1, "two", false, { three = 3.5 } }, empty = output.array {},
      map = term.map { term.atom "a", 1 }, tuple = term.tuple { term.atom "ok", "x" }, listed = term.list { term.atom "a" },
      charlist = term.charlist "abc", atom = term.atom "memory", endless = 1 / 0, pids = io.stdin,
    }.result
    assert.same({ 1, "two", false, { three = 3.5 } }, found.list)
    assert.same({}, found.empty)
    assert.same({ "#{a => 1}", '{ok,<<"x">>}', "[a]", '"abc"', "memory" },
      { found.map, found.tuple, found.listed, found.charlist, found.atom })
    assert.matches("^file ", found.pids)
  end)

  it("is UTF-8, and has no control character in it, whatever a node said", function()
    local found, text = document { version = "1.0\x9B2J", other = "\u{9B}31m\27", ["\xFF"] = 1 }
    assert.equal("1.0\\x9B2J", found.result.version)
    assert.equal("\u{9B}31m\27", found.result.other)
    assert.equal(1, found.result["\\xFF"])
    assert.truthy(utf8.len(text))
    assert.is_nil(text:find "[%z\1-\9\11-\31\127]")
    assert.is_nil(text:find "\xC2[\x80-\x9F]")
  end)
end)

describe("cli.progress", function()
  it("says bytes for people", function()
    assert.equal("999 B", progress.bytes(999))
    assert.equal("1.5 kB", progress.bytes(1500))
    assert.equal("12.3 MB", progress.bytes(12300000))
  end)
end)

describe("cli.report_page", function()
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
    local page = report_page.page(finished())
    assert.matches("&lt;app&gt; on app@h to 1&quot;2", page, 1, true)
    assert.matches("a &amp; b &lt;script&gt;alert(1)&lt;/script&gt;\\x1B[2J", page, 1, true)
    assert.matches("x&lt;y", page, 1, true)
    assert.is_nil(page:find("<script", 1, true))
  end)

  it("needs nothing but itself", function()
    local page = report_page.page(finished())
    for _, outside in ipairs { "http://", "https://", "src=", "url(", "@import", "<link" } do
      assert.is_nil(page:find(outside, 1, true), outside)
    end
  end)

  it("draws the steps to scale", function()
    local page = report_page.page(finished())
    assert.matches("left:0.000%%;width:25.000%%", page)
    assert.matches("left:25.000%%;width:75.000%%", page)
  end)

  it("says what is left behind", function()
    local page = report_page.page(finished { still_suspended = { "<0.1.0>" } })
    assert.matches('<pre id="left">1 process may still be suspended', page, 1, true)
  end)
end)
