--- Websocket and http clients for specs and the demo: one Erlang program of its own, not distributed, that opens the sockets
-- and keeps count (spec/support/clients). Here it is told what to do.

local compiled = require "support.compiled"
local process = require "support.process"

local clients = {}
local methods = {}
local metatable = {
  __index = methods,
  __close = function(self) self:stop() end,
  __gc = function(self) self:stop() end,
}

local gun_folder = process.root .. "/build/erlang/ranch2"

--- Starts the program, without any socket yet.
function clients.start()
  assert(process.output(("ls -d '%s'/gun-* 2>/dev/null"):format(gun_folder)) ~= "", "gun is missing: run tools/setup")
  local self = setmetatable({ answers = {}, bodies = {}, gets = 0, seen = 0 }, metatable)
  self.process = process.start {
    command = {
      "erl", "-noshell", "-boot", "start_clean", "+P", "262144", "-env", "ERL_CRASH_DUMP", "/dev/null",
      "-kernel", "logger_level", "none", -- gun's last words would stand between our answers
      "-pa", compiled "clients", gun_folder .. "/gun-1.3.3/ebin", gun_folder .. "/cowlib-2.9.1/ebin",
      "-s", "chat_clients", "main",
    },
  }
  assert(self:answer(15000) == "ready")
  return self
end

--- Starts the program and opens sockets; raises unless every one of them opens.
-- @tparam table options `port`, `count` (1), `topic` (default "room:lobby"; false joins none, as on the plain listeners),
-- `interval` (ms between a socket's pings, default 200), `frame` ("ping", answered by the channel, or "heartbeat", answered by
-- the websocket process), `path`, `life` (the ms after which, on average, a socket closes and opens anew; default: none does)
function clients.open(options)
  local self = clients.start()
  self:open(options)
  return self
end

-- Takes in what the program has printed since we looked: answers to commands, and bodies of requests.
local function take_lines(self)
  local file = io.open(self.process.folder .. "/out", "rb")
  if not file then return end
  file:seek("set", self.seen)
  local text = file:read "a"
  file:close()
  for line in text:gmatch "([^\n]*)\n" do
    self.seen = self.seen + #line + 1
    local id, body = line:match "^got (%d+) (.*)$"
    if id then self.bodies[tonumber(id)] = body else table.insert(self.answers, line) end
  end
end

-- The next answer; raises when there is none in time, with whatever the program printed.
function methods:answer(timeout)
  local answer = process.wait_until(function()
    take_lines(self)
    return table.remove(self.answers, 1) or self.process:exited()
  end, timeout)
  if type(answer) == "string" then return answer end
  error("the clients gave no answer:\n" .. self.process:printed():sub(-2000), 3)
end

function methods:command(timeout, ...)
  self.process:write(table.concat({ ... }, " "))
  return self:answer(timeout)
end

local function figures(line)
  local stats = { versions = {} }
  for name, value in line:gmatch "(%S+) (%d+)" do
    local version = name:match "^version:(.*)"
    if version then stats.versions[version] = tonumber(value) else stats[name] = tonumber(value) end
  end
  return stats
end

--- Opens more sockets; see `clients.open`.
function methods:open(options)
  local count = options.count or 1
  local topic = options.topic == nil and "room:lobby" or options.topic or "-"
  local answer = self:command(30000 + count * 20, "open", count, options.port, options.path or "/socket/websocket",
    topic, options.frame or "ping", options.interval or 200, options.life or 0)
  local opened = figures(answer)
  assert(opened.opened == count, answer)
end

--- What the sockets have seen: `open`, `reconnects` (of those that were cut off), `renewed` (of those with a life), `refused`
-- (connections of either that could not be opened), `sent`, `answered`, `pending`, `lost`, `disorder`, `broadcasts` (all other
-- frames), `versions` (answers by version), and `still_p50`, `still_p99`, `still_max`: the ms that a ping waited for its answer,
-- at most, on each socket.
function methods:stats() return figures(self:command(10000, "stats")) end

--- The figures; then `still_...` and `versions` start anew, with no answer counted twice or not at all.
function methods:reset() return figures(self:command(10000, "reset")) end

--- Stops sending; waits until every ping is answered, or `timeout` ms have passed; then the figures. What is `pending` then is
-- as good as lost.
function methods:drain(timeout)
  return figures(self:command((timeout or 5000) + 10000, "drain", timeout or 5000))
end

--- Waits until each of these versions has answered, and drains; raises unless all sockets have lived through it, and no message
-- is lost.
function methods:check_kept(count, ...)
  local wanted = { ... }
  local function have_answered()
    local versions = self:stats().versions
    for _, version in ipairs(wanted) do
      if not versions[version] then return false end
    end
    return true
  end
  assert(process.wait_until(have_answered, 10000), "not all of these versions have answered: " .. table.concat(wanted, ", "))
  local stats = self:drain()
  local got = ("%d open, %d reconnected, %d lost, %d pending"):format(stats.open, stats.reconnects, stats.lost, stats.pending)
  assert(got == ("%d open, 0 reconnected, 0 lost, 0 pending"):format(count), got)
end

function methods:pause() self:command(5000, "pause") end
function methods:go() self:command(5000, "go") end

--- Lets the first socket say a text to its topic.
function methods:say(text) self:command(5000, "say", text) end

--- Closes all websockets.
function methods:close() self:command(10000, "close") end

--- Sends a request on a connection of its own, which stays open afterwards; gives an id for `body` at once.
function methods:get(port, path)
  self.gets = self.gets + 1
  self:command(5000, "get", self.gets, port, path)
  return self.gets
end

--- Waits for the answer to a request: `"200 1.0.0 slow"`, `"error REASON"`, or nil when it isn't there in time.
function methods:body(id, timeout)
  return process.wait_until(function()
    take_lines(self)
    return self.bodies[id]
  end, timeout)
end

--- Closes the connections of all requests.
function methods:hang_up() self:command(5000, "hangup") end

--- Ends the program, and with it every socket.
function methods:stop()
  if self.process then self.process:stop() end
end

return clients
