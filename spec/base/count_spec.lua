local count = require "edeliver.relup.base.count"

describe("a number of things", function()
  it("reads as English does", function()
    assert.equal("0 processes", count.of(0, "process"))
    assert.equal("1 process", count.of(1, "process"))
    assert.equal("2 calls", count.of(2, "call"))
    assert.equal("1 process hibernates", count.of(1, "process hibernates", "processes hibernate"))
    assert.equal("7 processes hibernate", count.of(7, "process hibernates", "processes hibernate"))
    assert.equal("is", count.verb(1, "is", "are"))
    assert.equal("are", count.verb(0, "is", "are"))
  end)
end)
