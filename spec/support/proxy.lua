--- A proxy between an operator and a node, whose connections can be cut, reset, silenced, slowed
-- and healed (spec/support/proxy).

local process = require "support.process"

local proxy = {}
local methods = {}
local metatable = { __index = methods, __close = function(self) self:stop() end, __gc = function(self) self:stop() end }

--- Starts a proxy to a port of the loopback: an object with `port` and the methods below.
function proxy.start(target)
  local self = setmetatable({ answers = 0 }, metatable)
  self.process = process.start { command = { "escript", process.root .. "/spec/support/proxy/proxy.escript", target } }
  self.port = assert(process.wait_until(function()
    return tonumber(self.process:printed():match "^port (%d+)\n")
  end, 15000))
  return self
end

function methods:command(line)
  self.answers = self.answers + 1
  self.process:write(line)
  assert(process.wait_until(function()
    return select(2, self.process:printed():gsub("done\n", "")) >= self.answers
  end), "the proxy gave no answer")
end

--- Resets all connections; new ones are refused from now on.
function methods:cut() self:command "cut" end

--- Resets all connections; new ones are taken.
function methods:reset() self:command "reset" end

--- A black hole: both directions stop, and nobody is told. What is sent meanwhile is kept.
function methods:silence() self:command "silence" end

--- Takes connections again; after a silence, what was kept arrives now.
function methods:heal() self:command "heal" end

--- Writes what passes from now on, both ways, into a file.
function methods:record(path) self:command("record " .. path) end

--- Passes no more than some so many bytes a millisecond from now on.
function methods:slow(bytes) self:command("slow " .. bytes) end

function methods:stop() self.process:stop() end

return proxy
