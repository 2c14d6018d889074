local context = require "edeliver.relup.step.context"

describe("context", function()
  it("prints what nobody else logs, and nothing of it does anything to a terminal", function()
    local printed = stub(_G, "print")
    finally(function() printed:revert() end)
    context.new({ node = {} }):log("info", "evil\27[2J\x9B")
    context.by_hand({}, "myapp"):log("warning", "two\nlines")
    assert.stub(printed).was.called_with "evil\\x1B[2J\\x9B"
    assert.stub(printed).was.called_with "two\nlines"
  end)
end)
