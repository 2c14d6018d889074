-- What is left of the cookie in the memory of a program that is connected: searched from outside, as a debugger would.

local node = require "support.node"
local process = require "support.process"
local shared = require "support.shared"

local SCRIPT = [[
  local relup = require "edeliver.relup"
  local node = assert(relup.connect(arg[1], { epmd_port = tonumber(arg[2]), cookie = arg[3] and io.read "l" or nil }))
  assert(node:call("erlang", "node"))
  print "connected"
  io.flush()
  io.read "l"
]]

local CHUNK = 1 << 20 -- bytes

-- How often a text stands in what a process may write; nil where we may not look.
local function count_in_memory(pid, text)
  local memory <close> = io.open(("/proc/%d/mem"):format(pid), "rb")
  if not memory then return nil end
  memory:setvbuf "no"
  local count = 0
  for line in io.lines(("/proc/%d/maps"):format(pid)) do
    local from, to, rights = line:match "^(%x+)%-(%x+) (%S+)"
    from, to = tonumber(from, 16), tonumber(to, 16)
    local before = ""
    while rights:find "^rw" and from < to do
      memory:seek("set", from)
      local bytes = memory:read(math.min(CHUNK, to - from))
      if not bytes then break end
      from = from + #bytes
      bytes = before .. bytes
      local at = bytes:find(text, 1, true)
      while at do
        count = count + 1
        at = bytes:find(text, at + 1, true)
      end
      before = bytes:sub(-#text + 1)
    end
  end
  return count
end

describe("the cookie in memory", function()
  -- A sanitizer keeps what was freed, and its shadow of all memory is too large to be searched.
  if process.sanitized then
    pending "is for a build without sanitizers"
    return
  end
  local erlang = shared(node.start)

  local function connected(given)
    local script = erlang.folder .. "/connected.lua"
    local out = assert(io.open(script, "w"))
    out:write(SCRIPT)
    out:close()
    local started = process.start {
      command = { "lua5.4", script, erlang.name, tostring(erlang.epmd_port), given and "given" or nil },
      env = { HOME = erlang.folder, LUA_PATH = package.path, LUA_CPATH = package.cpath },
    }
    if given then started:write(erlang.cookie) end
    assert.truthy(process.wait_until(function() return started:printed():find "connected" end, 20000))
    return started
  end

  it("is not there any more when the connection is made, where it came from a file", function()
    local program <close> = connected()
    local count = count_in_memory(program:pid(), erlang.cookie)
    if not count then return pending "may not look into other programs" end
    assert.equal(0, count)
  end)

  it("stays where the script has it: what is searched for would be found", function()
    local program <close> = connected(true)
    local count = count_in_memory(program:pid(), erlang.cookie)
    if not count then return pending "may not look into other programs" end
    assert.is_true(count >= 1)
  end)
end)
