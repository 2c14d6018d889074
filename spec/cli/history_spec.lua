-- history: journals of runs and rollouts of this account. No node is needed.

local process = require "support.process"
local program = require "cli.program"

describe("history", function()
  local folder

  before_each(function()
    folder = process.temporary_folder()
    process.shell("mkdir -p %s/edeliver-relup/rollouts && chmod 700 %s/edeliver-relup %s/edeliver-relup/rollouts", folder, folder,
      folder)
  end)
  after_each(function() process.remove_folder(folder) end)

  local function write(name, lines)
    local path = ("%s/edeliver-relup/%s"):format(folder, name)
    local file = assert(io.open(path, "w"))
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
    process.shell("chmod 600 %s", path)
  end

  local function run_of(node, at, command, last)
    write(("%s-%s-0000abcd.jsonl"):format(node, (at:gsub("[-:]", ""))), {
      ('{"at":"%s","ms":0,"event":"run","format":1,"node":"%s","creation":7,"operator":"ada","command":"%s","version":"1.1"}')
        :format(at, node, command), last,
    })
  end

  local function history(line) return program.json(line, { env = { XDG_STATE_HOME = folder } }) end

  it("lists every command, of rollouts, too, and those that concern a node", function()
    run_of("a@h", "2026-01-02T03:04:05Z", "deploy", '{"event":"end","ok":true}')
    run_of("b@h", "2026-01-02T03:04:06Z", "rollback", '{"event":"end","ok":false,"still_suspended":0}')
    run_of("b@h", "2026-01-02T03:04:07Z", "upgrade", '{"event":"end","ok":false,"restarted":true}')
    run_of("b@h", "2026-01-02T03:04:08Z", "upgrade")
    write("rollouts/x.jsonl", {
      '{"at":"2026-01-02T03:04:09Z","event":"rollout","id":"x","operator":"bob","version":"1.2","nodes":["a@h","c@h"]}',
      '{"event":"end","ok":false,"ending":"reverted","message":"c was unhealthy"}',
    })
    local shown = history "history"
    local seen = {}
    for i, row in ipairs(shown.json.result.runs) do seen[i] = { row.node, row.command, row.version, row.who, row.ended } end
    assert.same({
      { "2 nodes", "rollout", "1.2", "bob", "reverted" }, { "b@h", "upgrade", "1.1", "ada", "not ended" },
      { "b@h", "upgrade", "1.1", "ada", "node restarted" }, { "b@h", "rollback", "1.1", "ada", "failed, undone" },
      { "a@h", "deploy", "1.1", "ada", "done" },
    }, seen)
    assert.equal(2, #history("history a@h").json.result.runs)
    assert.equal(1, #history("c@h history").json.result.runs)
    assert.equal(5, #history("history --node a@h --node b@h").json.result.runs)
  end)

  it("has those of one second in their order, too", function()
    local at, shown = "2026-01-02T03:04:05Z", {}
    for i, since_boot in ipairs { 900, 70, 1100, 80 } do
      write(("%d-20260102T030405Z-0000abcd.jsonl"):format(i), {
        ('{"at":"%s","ms":0,"event":"run","format":1,"since_boot":%d,"node":"a@h","creation":7,"version":"%d"}')
          :format(at, since_boot, since_boot),
      })
    end
    for i, row in ipairs(history("history").json.result.runs) do shown[i] = row.version end
    assert.same({ "1100", "900", "80", "70" }, shown)
  end)

  it("prunes what is over and old, and nothing else", function()
    run_of("a@h", "2020-01-02T03:04:05Z", "deploy", '{"event":"end","ok":true}')
    run_of("a@h", "2020-01-02T03:04:06Z", "deploy", '{"event":"end","ok":false,"still_suspended":1}')
    run_of("a@h", "2020-01-02T03:04:07Z", "deploy")
    run_of("a@h", os.date "!%Y-%m-%dT%H:%M:%SZ", "deploy", '{"event":"end","ok":true}')
    local shown = history "history --prune 30"
    assert.same({ 1, 3 }, { shown.json.result.deleted, #shown.json.result.runs })
  end)

  it("of a year ago goes after the next that went well", function()
    run_of("a@h", "2020-01-02T03:04:05Z", "deploy", '{"event":"end","ok":true}')
    run_of("a@h", "2020-01-02T03:04:06Z", "deploy")
    local tidied = program.run({ "history", "--json" }, {
      env = { XDG_STATE_HOME = folder, LUA_INIT = 'require("edeliver.relup.cli.journals").tidy()' },
    })
    local document = require("dkjson").decode(tidied.out)
    assert.equal(1, #document.result.runs, tidied.err)
    assert.equal("not ended", document.result.runs[1].ended)
  end)
end)
