local web = require "edeliver.relup.web"
local live = require "support.live"
local support = require "support.node"

describe("web", function()
  it("says what it looked at on a node without ranch", function()
    local plain <close> = support.start()
    local node <close> = plain:connect()
    local site, message, code = web.find(node, "kernel")
    assert.is_nil(site)
    assert.matches("ranch does not run on " .. plain.name, message, 1, true)
    assert.equal("not_detected", code)
  end)

  it("remembers for the steps of a run what it has found, and looks anew when asked", function()
    local chat <close> = live.start()
    local ctx = chat:context()
    local first = assert(web.known(chat.node, ctx))
    assert.equal(first, web.known(chat.node, ctx))
    local second = assert(web.look(chat.node, ctx))
    assert.not_equal(first, second)
    assert.equal(second, web.known(chat.node, ctx))
    chat.node:close()
    local site, _, code = web.look(chat.node, ctx)
    assert.is_nil(site)
    assert.not_equal("not_detected", code)
  end)
end)
