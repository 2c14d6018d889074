-- A node that was started without RELEASES, as every plain mix release is: it can come back to the release that it leaves, or
-- says before it leaves that it cannot.

local refusals = require "support.refusals"

describe("the way back of a node without RELEASES", function()
  it("is there, as RELEASES is made before the first upgrade", function()
    local scene = refusals.start { without = { "releases/RELEASES" } }
    finally(function() scene:stop() end)
    local dry, problem, _, lines = scene:run("2.0.0", nil, { dry_run = true })
    assert.is_truthy(dry, problem)
    assert.matches("was started without releases/RELEASES: an upgrade makes it, so that 1.0.0 can be installed again", lines,
      1, true)
    assert.is_nil(scene:read "releases/RELEASES")
    local there, message, _, said = scene:run "2.0.0"
    assert.is_truthy(there, message)
    assert.matches("was started without releases/RELEASES: made it", said, 1, true)
    local back, why = scene:run "1.0.0"
    assert.is_truthy(back, why)
    assert.same({ ["1.0.0"] = "permanent", ["2.0.0"] = "old" }, scene.release:releases())
    local stats = scene.sockets:drain()
    assert.same({ 5, 0, 0 }, { stats.open, stats.reconnects, stats.lost })
  end)

  it("is missing where RELEASES cannot be made: that is said before, and refused on the way back", function()
    local scene = refusals.start { without = { "releases/RELEASES", "releases/1.0.0/chat-1.0.0.rel" } }
    finally(function() scene:stop() end)
    local there, problem, _, lines = scene:run "2.0.0"
    assert.is_truthy(there, problem)
    assert.matches("warning: .* was started without releases/RELEASES, and it cannot be made: no .rel file there names libraries "
      .. "that are all below lib/. There is no downgrade to 1.0.0", lines)
    local message, code = scene:refused "1.0.0"
    assert.equal("no_libraries", code)
    assert.matches("does not know the libraries of 1.0.0", message, 1, true)
  end)
end)
