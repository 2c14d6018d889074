-- The report of a real upgrade as a page, read by headless Chromium.

local process = require "support.process"
local program = require "cli.program"
local chat = require "support.chat"
local clients = require "support.clients"

local FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
  .. "--disable-sync --disable-dev-shm-usage --disable-extensions --hide-scrollbars"

local function has_chromium() return select(2, process.output "command -v chromium 2>/dev/null") == true end

-- Runs Chromium on a page, in a profile of its own: what it printed, and what it complained of.
local function chromium(folder, page, options)
  local printed = process.output(("HOME=%s timeout -k 5 60 chromium %s --user-data-dir=%s/profile %s "
    .. "--enable-logging=stderr file://%s 2>%s/complaints"):format(folder, FLAGS, folder, options, page, folder))
  return printed, process.read_file(folder .. "/complaints") or ""
end

describe("upgrade --report", function()
  local folder, page, report, cookie

  setup(function()
    folder = process.temporary_folder()
    page = folder .. "/report.html"
    local release <close> = chat.start()
    local sockets <close> = clients.open { port = release.ports.endpoint, count = 10 } -- luacheck: ignore sockets
    local upgraded = program.json("NODE upgrade 2.0.0 --report " .. page, { node = release })
    assert(upgraded.code == 0, upgraded.err)
    report, cookie = upgraded.json.result, release.cookie
  end)
  teardown(function() process.remove_folder(folder) end)

  it("is a page that a browser reads as it is meant", function()
    if not has_chromium() then return pending "needs chromium" end
    local dom, complaints = chromium(folder, page, "--dump-dom")
    assert.matches("<title>chat on chat%d+@127.0.0.1 to 2.0.0</title>", dom)
    assert.matches('<span class="ok">done</span>', dom, 1, true)
    assert.equal(#report.steps, select(2, dom:gsub('<div class="bar"', "")))
    assert.matches("<dt>suspended</dt><dd>10 processes</dd>", dom, 1, true)
    assert.matches("<dt>lost</dt><dd>none</dd>", dom, 1, true)
    assert.matches("<dt>version</dt><dd>1.0.0 → 2.0.0</dd>", dom, 1, true)
    assert.matches("<dt>stays</dt><dd>no: a restart returns to 1.0.0</dd>", dom, 1, true)
    assert.matches("<dt>the swap</dt><dd>suspend [%d.]+ ms, load [%d.]+ ms, change [%d.]+ ms, .*resume [%d.]+ ms</dd>", dom)
    assert.matches("<dt>took</dt><dd>[%d.]+ m?s</dd>", dom)
    assert.matches("<dt>journal</dt><dd>" .. report.journal .. "</dd>", dom, 1, true)
    assert.matches('<div class="axis"><span>0.0 ms</span><span>[%d.]+ m?s</span><span>[%d.]+ m?s</span><span>[%d.]+ m?s</span>',
      dom)
    for _, step in ipairs(report.steps) do assert.matches("<td>" .. step.name .. "</td>", dom, 1, true) end
    assert.is_nil(complaints:find("CONSOLE", 1, true), complaints)
  end)

  it("is nobody else's", function()
    assert.equal("600\n", (process.output("stat -c %a " .. page)))
  end)

  it("knows no cookie", function()
    assert.is_nil(process.read_file(page):find(cookie, 1, true))
  end)

  it("is not wider than a narrow screen", function()
    if not has_chromium() then return pending "needs chromium" end
    local wide = folder .. "/narrow.html"
    local file <close> = assert(io.open(wide, "w"))
    -- The same page, which says how wide it has become; its own policy lets no script run.
    file:write((process.read_file(page):gsub("<meta http%-equiv=[^>]*>", ""):gsub("</body>",
      "<script>document.title = `${document.documentElement.scrollWidth} of ${innerWidth}`</script></body>")))
    file:close()
    for _, width in ipairs { 480, 1280 } do
      local dom = chromium(folder, wide, ("--window-size=%d,900 --dump-dom"):format(width))
      local needed, given = dom:match "<title>(%d+) of (%d+)</title>"
      assert.is_truthy(needed, dom)
      assert.is_true(tonumber(needed) <= tonumber(given), needed .. " of " .. given)
    end
  end)

  it("shows something, and fits", function()
    if not has_chromium() then return pending "needs chromium" end
    chromium(folder, page, ("--window-size=1000,900 --screenshot=%s/page.png"):format(folder))
    local picture = assert(process.read_file(folder .. "/page.png"))
    assert.equal("\137PNG\r\n\26\n", picture:sub(1, 8))
    local width, height = (">I4I4"):unpack(picture, 17)
    assert.same({ 1000, 900 }, { width, height })
    -- A blank page of that size takes about 4 kB.
    assert.is_true(#picture > 15000, #picture .. " bytes")
  end)

  it("says so where it cannot be written, and begins nothing", function()
    local release <close> = chat.start()
    local ran = program.run("NODE upgrade 2.0.0 --report /nonexistent/report.html", { node = release })
    assert.equal(1, ran.code)
    assert.matches("the report could not be written, so nothing was begun: ", ran.err, 1, true)
    -- Likewise what is printed.
    for _, option in ipairs { "", "--json", "--json-lines" } do
      local words = program.command({ release.name, "upgrade", "2.0.0", option ~= "" and option or "--no-color" },
        { node = release })
      local _, _, code = os.execute("( " .. words .. " ) >/dev/full 2>/dev/null")
      assert.equal(1, code, option)
    end
    assert.same({ ["1.0.0"] = "permanent" }, release:releases())
    assert.same({ ["1.0.0"] = "permanent" }, release:releases())
    os.execute(("ln -s %s/elsewhere %s/link"):format(folder, folder))
    ran = program.run(("NODE check 2.0.0 --report %s/link"):format(folder), { node = release })
    assert.matches("so nothing was begun: .*is a symbolic link", ran.err)
    assert.is_nil(process.read_file(folder .. "/elsewhere"))
  end)
end)
