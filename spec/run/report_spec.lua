-- A report in words: what an operator reads when something went wrong.

local reports = require "edeliver.relup.run.report"

local function made(fields)
  local report = reports.new { node = "myapp@web1", name = "myapp", version = "1.4.6" }
  for name, value in pairs(fields) do report[name] = value end
  return report
end

describe("report", function()
  it("names the steps with their times, aligned", function()
    local text = tostring(made { ok = true, steps = {
      { name = "install", status = "done", ms = 12.34, result = "1.4.5 -> 1.4.6" },
      { name = "resume_channels", status = "skipped" },
    } })
    assert.equal("myapp on myapp@web1 to 1.4.6: done\n" ..
      "  install          done        12.3 ms  1.4.5 -> 1.4.6\n" ..
      "  resume_channels  skipped", text)
  end)

  it("says what was undone, and how long processes stood still", function()
    local text = made({ undone = { "3 processes resumed" }, suspended = 3, stood_still_ms = 20,
      stood_still = { p50 = 1, p99 = 2, max = 3 }, lost = { "<0.1.0>" } }):summary()
    assert.matches("to 1.4.6: failed\n  undone: 3 processes resumed\n  3 processes suspended, for 20.0 ms", text, 1, true)
    assert.matches("each paused for 3.0 ms at most (median 1.0 ms, p99 2.0 ms)", text, 1, true)
    assert.matches("1 process ended while suspended", text, 1, true)
  end)

  it("says before all else that the node restarted", function()
    local text = made({ restarted = true, suspended = 150, stood_still_ms = 1 }):summary()
    local head = "^myapp on myapp@web1 to 1.4.6: failed, and myapp@web1 RESTARTED: all connections that it had are gone\n"
    assert.matches(head, text)
    assert.matches("1 process ended", made({ lost = { 1 } }):summary(), 1, true)
  end)

  it("says what ran to its end after all, where the run did not", function()
    local stopped = { code = "interrupted", completed = "the install" }
    assert.equal("myapp on myapp@web1 to 1.4.6: interrupted after the install ran to its end", made(stopped):summary())
    assert.equal("failed after the install ran to its end", made({ code = "timeout", completed = "the install" }):ending())
    assert.equal("interrupted", made({ code = "interrupted" }):ending())
    assert.equal("done", made({ ok = true }):ending())
  end)

  it("says what is left behind and what to do about it", function()
    assert.is_nil(made({}):left_behind())
    local text = made({ still_suspended = { 1, 2, 3, 4, 5, 6 }, still_undone = { { key = "acceptors" } } }):left_behind()
    assert.matches("6 processes may still be suspended on myapp@web1: 1, 2, 3, 4, 5, ...", text, 1, true)
    assert.matches("1 call is not undone yet (acceptors)", text, 1, true)
    assert.matches("`edeliver-relup myapp@web1 recover`, or relup.recover, undoes what the guard there has not", text, 1, true)
    local with_journal = made({ still_undone = { { key = "acceptors" } }, journal = "/j" }):left_behind()
    assert.matches("`edeliver-relup myapp@web1 recover /j`", with_journal, 1, true)
  end)

  it("says of a dry run whom it would have suspended, and not that they stood still", function()
    local text = made({ ok = true, dry_run = true, would_suspend = { 1, 2 }, suspended = 2 }):summary()
    assert.matches("dry run: nothing was touched; it would have suspended 2 processes", text, 1, true)
    assert.is_nil(text:find "2 processes suspended")
  end)

  it("does nothing to a terminal, whatever a node said", function()
    local report = made { undone = { "of \27[31m" }, version = "1\xFF", still_undone = { { key = "\7" } }, steps = {
      { name = "install", status = "failed", ms = 1, message = "evil\27]0;owned\7\nsecond line" },
    } }
    for _, text in ipairs { tostring(report), report:summary(), report:left_behind() } do
      assert.is_nil(text:find "[%z\1-\9\11-\31\127-\255]")
    end
    assert.matches("evil\\x1B]0;owned\\x07\nsecond line", tostring(report), 1, true)
  end)
end)
