-- Programs by their pid and their start.

local process = require "support.process"
local program = require "edeliver.relup.base.program"
local uv = require "luv"

describe("a program", function()
  it("is told from another that has its pid later, and is nobody once it has ended", function()
    local mine = assert(program.started(uv.os_getpid()))
    assert.equal(mine, program.started(uv.os_getpid()))
    process.sleep(30)
    local other <close> = process.start { command = { "sh", "-c", "exec 3<&0; echo here; read line <&3" } }
    assert.truthy(process.wait_until(function() return other:printed():find "here" end))
    assert.is_true(program.started(other:pid()) > mine)
    other:signal "KILL"
    assert.truthy(process.wait_until(function() return program.started(other:pid()) == nil end))
  end)
end)
