-- What another terminal says to a rollout, where several of one account are active.

local journal = require "edeliver.relup.cluster.journal"
local process = require "support.process"
local program = require "cli.program"

describe("several rollouts at once", function()
  local function begin(node)
    return (assert(journal.begin { release = "shop", nodes = { node }, operator = "somebody" }))
  end

  it("are told by their ids, and none by mistake", function()
    local one, two = begin "shop@one", begin "shop@two"
    local refused = program.json "rollout revert"
    assert.equal(1, refused.code)
    assert.equal("ambiguous", refused.json.error.code)
    for _, what in ipairs { one.id, two.id, "shop@one", "shop@two" } do assert.matches(what, refused.err, 1, true) end
    assert.is_nil(one:command())
    assert.is_nil(two:command())

    local said = program.json("rollout pause --id " .. one.id)
    assert.equal(0, said.code, said.err)
    assert.equal("pause", one:command())
    assert.is_nil(two:command())
    assert.equal(two.id, program.json("rollout status --id " .. two.id).json.result.id)
    local unknown = program.run "rollout abort --id 20000101T000000Z-0000"
    assert.equal(1, unknown.code)

    -- A pid that somebody else has by now is not the program of a rollout.
    local line = process.read_file(two.path)
    local file <close> = assert(io.open(two.path, "w"))
    file:write((line:gsub('"started":%d+', '"started":1')))
    file:close()
    assert.equal(one.id, program.json("rollout continue").json.result.id)
    one:close { ok = true }
    two:close { ok = true }
    os.remove(one.path)
    os.remove(two.path)
  end)
end)
