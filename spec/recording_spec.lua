-- The recording of the demo in the README: made by tools/recording, and of the demo as it is now.

local process = require "support.process"
local recording = require "support.recording"

local function read(path) return (assert(process.read_file(process.root .. "/" .. path))) end

describe("the recording in the README", function()
  local recorded = recording.inside(read "README.md")

  it("says what the demo says, and nothing of it was wrong", function()
    assert.is_nil(recorded:find("WRONG", 1, true))
    local formats = 0
    for format in read("spec/support/deploy_demo.lua"):gmatch 'say[ (]"([^"]+)"' do
      if not format:find "^building" then
        formats = formats + 1
        local pattern = format:gsub("%%%a", "\1"):gsub("%p", "%%%0"):gsub("\1", ".-")
        assert.is_truthy(recorded:find(pattern), format)
      end
    end
    assert.is_true(formats >= 4)
    assert.matches("deploy .*depot.* 1%.0%.0 to 2%.0%.0: hot", recorded)
    assert.matches("the VM is the same: ok", recorded, 1, true)
  end)

  it("is cut to a width, and put in the place of the one before", function()
    local long = ("x"):rep(300)
    local made = recording.of(("   0.01 s  one\n   0.02 s    | journal: /somewhere\n%s\n"):format(long))
    assert.matches("one\n +| …\nx+…\n", made)
    assert.is_nil(made:find("journal", 1, true))
    for line in (recorded .. made):gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 112, line) end
    local page = assert(recording.put(read "README.md", made))
    assert.equal(made, recording.inside(page))
    assert.equal(read "README.md", recording.put(page, recorded))
    assert.is_nil(recording.put("no place", made))
  end)
end)
