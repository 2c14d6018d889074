-- The facade: the names that scripts start from.

local relup = require "edeliver.relup"

describe("edeliver.relup", function()
  it("loads what only some programs use when it is first asked for", function()
    assert.equal(require "edeliver.relup.consult", relup.consult)
    assert.equal(require "edeliver.relup.lint", relup.lint)
    assert.equal(require "edeliver.relup.file", relup.file)
    assert.is_nil(relup.no_such_thing)
  end)

  it("reads files of terms", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "{a, \"b\"}.\n[1, 2].\n"
    file:close()
    local terms = assert(relup.read(path))
    assert.equal('[{a,"b"},[1,2]]', relup.term.format(terms))
    file = assert(io.open(path, "w"))
    file:write "{a,\n b c}.\n"
    file:close()
    local none, message, code = relup.read(path)
    assert.is_nil(none)
    assert.equal(path .. ": line 2, column 4: unexpected \"c\"", message)
    assert.equal("syntax", code)
    os.remove(path)
    assert.equal("system", select(3, relup.read(path)))
  end)

  it("makes steps that wait", function()
    assert.equal("sleep_20", relup.sleep(20).name)
  end)
end)
