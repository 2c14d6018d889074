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

  it("has one writer for each field that steps leave for others", function()
    local found = {}
    for path in io.popen("find lua/edeliver/relup -name '*.lua'"):lines() do
      local module = path:match("^lua/edeliver/relup/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
      for line in io.lines(path) do
        for field in line:gmatch "ctx%.([%w_]+) = " do
          if context.writers[field] then
            assert.equal(context.writers[field], module, field)
            found[field] = true
          end
        end
      end
    end
    for field in pairs(context.writers) do assert.is_true(found[field], field) end
  end)
end)
