-- release_handler as an outside client calls it: what is said where there is none.

local nodes = require "support.node"
local release_handler = require "edeliver.relup.otp.release_handler"

describe("otp.release_handler", function()
  it("is not there on a node without sasl, which has a code of its own", function()
    local plain <close> = nodes.start()
    local node <close> = plain:connect()
    local found, message, code = release_handler.which_releases(node)
    assert.is_nil(found)
    assert.equal("no_release_handler", code)
    assert.matches("was not started as a release with sasl", message, 1, true)
  end)
end)
