--- What the functions that we call print: a connection that takes it from the node, turns it into text, and hands it over.
--
-- A process prints by asking its group leader, which is us for all that we call, and waits for the answer. This module knows
-- that protocol (stdlib User's Guide, "The Erlang I/O Protocol"), and stands in for the connection of the core: whoever waits
-- on it serves those who print. Everything else goes through to the connection.
--
-- @module edeliver.relup.output

local term = require "edeliver.relup.term"

local output = {}

local atom, tuple = term.atom, term.tuple
local OK, ENOTSUP = atom "ok", tuple { atom "error", atom "enotsup" }
local FORMAT_TIMEOUT, LOOK_EVERY = 5000, 20 -- ms

function output:__index(name)
  if output[name] then return output[name] end
  return function(_, ...) return self.connection[name](self.connection, ...) end
end

--- Shows what is printed on a connection from now on.
-- @param connection of the core
-- @tparam function show gets each piece of text, in UTF-8, in the order in which it was printed
-- @tparam function now gives ms
-- @return a connection
function output.new(connection, show, now)
  connection:keep_output(true)
  return setmetatable({ connection = connection, show = show, now = now }, output)
end

--- Shows nothing any more, and gives the connection back.
function output:stop()
  self.connection:keep_output(false)
  self.show = function() end
  self:serve()
  return self.connection
end

-- What is printed ----------------------------------------------------------------------------------------------------

-- Text of chardata: code points, binaries and lists of those, however nested. In latin1 a binary's bytes are characters.
-- Raises what is none.
local function add_text(parts, chars, encoding)
  local kind = term.kind(chars)
  if kind == "integer" then
    parts[#parts + 1] = utf8.char(chars)
  elseif kind == "charlist" then
    parts[#parts + 1] = chars.text
  elseif kind == "binary" then
    if encoding == "latin1" or not utf8.len(chars) then
      chars = chars:gsub("[\x80-\xff]", function(byte) return utf8.char(byte:byte()) end)
    end
    parts[#parts + 1] = chars
  elseif kind == "list" then
    for _, part in ipairs(chars) do add_text(parts, part, encoding) end
    if chars.tail ~= nil then add_text(parts, chars.tail, encoding) end
  else
    error("not characters: " .. term.format(chars))
  end
end

local function text_of(chars, encoding)
  local parts = {}
  if pcall(add_text, parts, chars, encoding) then return table.concat(parts) end
end

-- Applies a function on the node, as whoever prints with `io:format` asks us to. Others may print meanwhile, and the function
-- itself. Nil where it fails.
local function apply(self, module, fun, arguments)
  local call = self.connection:request("erlang", "apply", { module, fun, arguments })
  return call and (self:await(call, FORMAT_TIMEOUT))
end

-- `{put_chars, Encoding, Chars}`, `{put_chars, Encoding, M, F, A}`, and the same without an encoding, which is latin1 then:
-- what is to be shown, and the answer.
local function put_chars(self, request)
  local count = #request
  local encoding = count % 2 == 1 and term.kind(request[2]) == "atom" and request[2].name or "latin1"
  local chars
  if count == 2 or count == 3 then
    chars = request[count]
  elseif count == 4 or count == 5 then
    chars = apply(self, request[count - 2], request[count - 1], request[count])
  end
  local text = chars ~= nil and text_of(chars, encoding)
  if text then return text, OK end
  return "", tuple { atom "error", request }
end

local function answer(self, request)
  local kind = term.kind(request) == "tuple" and request[1]
  if kind == atom "put_chars" then return put_chars(self, request) end
  if kind == atom "setopts" then return "", OK end
  if kind ~= atom "requests" or term.kind(request[2]) ~= "list" then return "", ENOTSUP end
  local shown, reply = {}, OK
  for i, each in ipairs(request[2]) do
    shown[i], reply = answer(self, each)
    if reply ~= OK then break end
  end
  return table.concat(shown), reply
end

--- Takes and answers every request that is here, and shows its text. Whoever printed goes on before the text is shown.
function output:serve()
  for message in self.connection.output, self.connection do
    local _, from, reply_as, request = table.unpack(message)
    local text, reply = answer(self, request)
    self.connection:send(from, tuple { atom "io_reply", reply_as, reply })
    if text ~= "" then self.show(text) end
  end
end

-- Waiting ------------------------------------------------------------------------------------------------------------

function output:await(call, timeout)
  local deadline = self.now() + timeout
  while true do
    local value, message, code, reason = self.connection:await(call, math.max(deadline - self.now(), 0), true)
    self:serve()
    if value ~= nil or code ~= "again" then return value, message, code, reason end
  end
end

function output:call(module, fun, arguments, timeout)
  local call, message, code = self.connection:request(module, fun, arguments)
  if not call then return nil, message, code end
  return self:await(call, timeout)
end

function output:receive(timeout)
  local deadline = self.now() + timeout
  while true do
    local message, problem, code = self.connection:receive(math.max(math.min(deadline - self.now(), LOOK_EVERY), 0))
    self:serve()
    if message ~= nil or code ~= "timeout" or self.now() >= deadline then return message, problem, code end
  end
end

function output:sleep(ms)
  local deadline = self.now() + ms
  while true do
    local _, message, code = self.connection:await_output(math.max(deadline - self.now(), 0))
    self:serve()
    if code == "timeout" then return true end
    if code then return nil, message, code end
  end
end

function output:pump()
  local pumped, message, code = self.connection:pump()
  self:serve()
  return pumped, message, code
end

return output
