-- What a provider reads on the node stays there: the whole conversation of a deploy and of the way back, byte for byte.

local depots = require "support.depot"
local process = require "support.process"
local proxy = require "support.proxy"

describe("the values of a deploy", function()
  it("never cross the wire, nor does anything that holds them", function()
    local depot <close> = depots.start()
    local between <close> = proxy.start(depot.release:dist_port())
    local path = depot.folder .. "/conversation"
    between:record(path)
    for _, line in ipairs { ("NODE deploy %s --values"):format(depots.release "2.0.0"), "NODE rollback" } do
      local done = depot:run(("%s --yes --dist-port %d"):format(line, between.port))
      assert.equal(0, done.code, done.err)
    end
    local bytes = process.read_file(path)
    assert.truthy(bytes:find("edeliver_relup_configuration", 1, true))
    assert.is_nil(bytes:find("tiger", 1, true))
    depot:is_whole "1.0.0"
  end)
end)
