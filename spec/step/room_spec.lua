-- Room on the disk, and the right to write there, asked of a real node. What it may not write, and what it has no room for, is
-- said in its place, for these specs may run as root, on any disk.

local live = require "support.live"
local room = require "edeliver.relup.step.room"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

describe("step.room", function()
  local chat = shared(live.start, { next = {} })

  -- The node, but for what it says of its room.
  local function node_with(free, forbidden)
    return setmetatable({ run = function() return term.tuple { free, term.list(forbidden) } end }, { __index = chat.node })
  end

  it("is there on a node that has some", function()
    assert.is_true(room.to_unpack(chat.node, { tarball = { bytes = 1000 } }))
    assert.is_true(room.to_make_permanent(chat.node))
    local none, message, code = room.to_unpack(chat.node, { tarball = { bytes = 1 << 60 } })
    assert.is_nil(none)
    assert.equal("no_room", code)
    assert.matches("The disk of .* has [%d.]+ MB free, and needs 1152921504606.8 MB and 16.8 MB to spare", message)
  end)

  it("is not asked for where nothing is unpacked", function()
    assert.is_true(room.to_unpack(node_with(0, {}), {}))
  end)

  it("is enough where nobody knows how much there is", function()
    assert.is_true(room.to_unpack(node_with(term.atom "unknown", {}), { tarball = { bytes = 1000 } }))
  end)

  it("takes the right to write", function()
    local none, message, code = room.to_unpack(node_with(1 << 40, { "/opt/chat/lib" }), { tarball = { bytes = 1000 } })
    assert.is_nil(none)
    assert.equal("no_rights", code)
    assert.matches("may not write /opt/chat/lib. Give its user the right to", message, 1, true)
  end)
end)
