-- doctor and history, as at a shell: a release with sockets, before and after an upgrade, and while one is in the way.

local chat = require "support.chat"
local depots = require "support.depot"
local program = require "cli.program"

-- The levels by the checks' names.
local function levels(shown)
  local found = {}
  for _, check in ipairs(shown.json.result.checks) do found[check.name] = check.level end
  return found
end

describe("doctor and history", function()
  it("say of a node without a web server that it needs none", function()
    local depot <close> = depots.start { items = 1 }
    local shown = depot:json "NODE doctor"
    assert.equal(0, shown.code, shown.err)
    assert.equal("warning", levels(shown).sockets)
    assert.matches("no Phoenix endpoint of depot has a Bandit", shown.out, 1, true)
  end)

  it("say whether a node can be upgraded, and what was done to it", function()
    local release <close> = chat.start { next = { "2.0.0" } }
    local none = program.run("history", { node = release })
    assert.equal(0, none.code, none.err)
    assert.matches("No journals", none.out)

    local before = program.json("NODE doctor", { node = release })
    assert.equal(0, before.code, before.err)
    for name, level in pairs(levels(before)) do assert.equal("ok", level, name) end
    local people = program.run("NODE doctor", { node = release })
    assert.matches("✓ " .. release.name .. " can be reached.", people.out, 1, true)
    assert.matches("It can be upgraded.", people.out, 1, true)

    local named = program.json("NODE doctor --app chat", { node = release })
    assert.equal("ok", levels(named).sockets, named.err)

    local upgraded = program.run("NODE upgrade 2.0.0", { node = release })
    assert.equal(0, upgraded.code, upgraded.err)
    local refused = program.run("NODE upgrade 3.0.0", { node = release })
    assert.equal(1, refused.code)

    local after = program.json("NODE doctor", { node = release })
    assert.equal("warning", levels(after).release)
    local history = program.json("history", { node = release })
    assert.equal(0, history.code, history.err)
    local runs = history.json.result.runs
    assert.equal(release.name, runs[#runs].node)
    assert.equal("2.0.0", runs[#runs].version)
    assert.same({ "done", "upgrade" }, { runs[#runs].ended, runs[#runs].command })
    local shown = program.run("NODE history", { node = release })
    assert.matches("WHEN +NODE +COMMAND +VERSION +WHO +ENDED", shown.out)
    assert.matches(release.name .. " +upgrade +2.0.0", shown.out)
    assert.matches("No journals of other@127.0.0.1 in ", program.run("other@127.0.0.1 history", { node = release }).out, 1, true)
    local pruned = program.json("history --prune 0", { node = release })
    assert.equal(#runs, pruned.json.result.deleted + #pruned.json.result.runs)
  end)

  it("say who is suspended, and exit with 1", function()
    local release <close> = chat.start {}
    release:eval "sys:suspend(erl_signal_server)"
    local shown = program.json("NODE doctor", { node = release })
    assert.equal(1, shown.code)
    assert.equal("bad", levels(shown).suspended)
    assert.is_false(shown.json.result.ok)
    release:eval "sys:resume(erl_signal_server)"
  end)
end)
