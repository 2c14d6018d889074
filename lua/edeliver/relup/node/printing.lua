--- What the functions that we call print: a connection that takes it from the node, turns it into text, and hands it over.
--
-- A process prints by asking its group leader, which is us for all that we call, and waits for the answer. This module knows
-- that protocol (stdlib User's Guide, "The Erlang I/O Protocol"), and takes the place of the connection of the core: who waits
-- on it serves those who print, for as long as it waits and no longer. Everything else goes through to the connection.
--
-- Serving never waits itself. What cannot be shown before the node has formatted it rests in a coroutine until the answer is
-- here, so that others are served meanwhile, and the next one that waits goes on with it. The core bounds how many rest, how
-- much is kept of requests that nobody has taken, and how many answers the peer may leave lying.
--
-- @module edeliver.relup.node.printing

local term = require "edeliver.relup.term"

local printing = {}

local atom, tuple = term.atom, term.tuple
local OK, PUT_CHARS = atom "ok", atom "put_chars"
local ENOTSUP, ENOSPC = tuple { atom "error", atom "enotsup" }, tuple { atom "error", atom "enospc" }
local FORMAT_TIMEOUT, LOOK_EVERY = 5000, 20 -- ms
local MOST_TEXT = 64 << 20 -- bytes of one request that consists of many
local MOST_SHOWS = 4 -- shown while another text is shown, by a function that waits on the connection

function printing:__index(name)
  if printing[name] then return printing[name] end
  return function(_, ...) return self.connection[name](self.connection, ...) end
end

--- Shows what is printed on a connection from now on.
-- @param connection of the core
-- @tparam function show gets each piece of text, in UTF-8, in the order in which it was printed
-- @tparam function now gives ms
-- @return a connection
function printing.new(connection, show, now)
  connection:keep_output(true)
  return setmetatable({ connection = connection, show = show, now = now, formatting = {}, showing = 0 }, printing)
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

-- Applies a function on the node, as whoever prints with `io:format` asks us to; the function may print itself. Nil where it
-- fails. The arguments are not kept meanwhile.
local function apply(self, request)
  local count = #request
  local call = self.connection:format("erlang", "apply", { request[count - 2], request[count - 1], request[count] })
  request[count] = false
  if call then return coroutine.yield(call) end
end

-- `{put_chars, Encoding, Chars}`, `{put_chars, Encoding, M, F, A}`, and the same without an encoding, which is latin1 then:
-- what is to be shown, and the answer.
local function put_chars(self, request)
  local count = #request
  local encoding = count % 2 == 1 and term.kind(request[2]) == "atom" and request[2].name or "latin1"
  local chars, failed = nil, request
  if count == 2 or count == 3 then
    chars = request[count]
  elseif count == 4 or count == 5 then
    failed = PUT_CHARS -- as OTP's `user` says
    if self.show then chars = apply(self, request) end
  end
  if not self.show then return "", OK end
  local text = chars ~= nil and text_of(chars, encoding)
  if text then return text, OK end
  return "", tuple { atom "error", failed }
end

local function answer(self, request)
  local kind = term.kind(request) == "tuple" and request[1]
  if kind == PUT_CHARS then return put_chars(self, request) end
  if kind == atom "setopts" then return "", OK end
  if kind ~= atom "requests" or term.kind(request[2]) ~= "list" then return "", ENOTSUP end
  local shown, size, reply = {}, 0, OK
  for i, each in ipairs(request[2]) do
    shown[i], reply = answer(self, each)
    size = size + #shown[i]
    if size > MOST_TEXT then reply = ENOSPC end
    if reply ~= OK then break end
  end
  return table.concat(shown), reply
end

-- Goes on with a request until it is answered, or rests. Whoever printed goes on before the text is shown.
local function go_on(self, request, ...)
  local _, text, reply = assert(coroutine.resume(request.thread, ...))
  if reply == nil then
    request.call, request.deadline = text, self.now() + FORMAT_TIMEOUT
    table.insert(self.formatting, request)
    return
  end
  -- Where that fails, the connection is lost, and tells it to whoever waits on it.
  self.connection:answer(request.from, tuple { atom "io_reply", request.reply_as, reply })
  if text == "" or not self.show then return end
  self.showing = self.showing + 1
  local shown, problem = pcall(self.show, text)
  self.showing = self.showing - 1
  if not shown then error(problem, 0) end
end

-- Goes on with those for which the node has formatted something, or has not in the time that it has for that.
local function go_on_with_formatted(self)
  local i = 1
  while i <= #self.formatting do
    local request = self.formatting[i]
    local ended = self.connection:has_ended(request.call)
    if ended or self.now() >= request.deadline then
      table.remove(self.formatting, i)
      local chars
      if ended then chars = self.connection:await(request.call) end
      self.connection:give_up(request.call)
      go_on(self, request, chars)
    else
      i = i + 1
    end
  end
end

--- Takes and answers the requests that are here, and shows their text.
-- @tparam number deadline of `now`: once it has come, the rest is left for the next time
function printing:serve(deadline)
  if self.showing == MOST_SHOWS then return end
  go_on_with_formatted(self)
  repeat
    local message, _, code = self.connection:output()
    if message then
      local _, from, reply_as, request = table.unpack(message)
      go_on(self, { thread = coroutine.create(answer), from = from, reply_as = reply_as }, self, request)
    end
  until (not message and not code) or self.now() >= deadline
end

--- Shows nothing any more, and gives the connection back.
function printing:stop()
  self.connection:keep_output(false)
  self.show = false
  for _, request in ipairs(self.formatting) do request.deadline = 0 end
  go_on_with_formatted(self)
  return self.connection
end

-- Waiting ------------------------------------------------------------------------------------------------------------

-- How long to wait for something to serve, at most.
local function time_left(self, deadline)
  local first = self.formatting[1]
  if first and self.showing < MOST_SHOWS then deadline = math.min(deadline, first.deadline) end
  return math.max(deadline - self.now(), 0)
end

function printing:await(call, timeout)
  local deadline = self.now() + timeout
  while true do
    local value, message, code, reason =
      self.connection:await(call, time_left(self, deadline), self.showing < MOST_SHOWS)
    self:serve(deadline)
    if value ~= nil or (code ~= "again" and code ~= "timeout") then return value, message, code, reason end
    if self.now() >= deadline then return self.connection:await(call, 0) end
  end
end

function printing:call(module, fun, arguments, timeout)
  local deadline = self.now() + timeout
  local call, problem, refusal = self.connection:request(module, fun, arguments, timeout)
  if not call then return nil, problem, refusal end
  local value, message, code, reason = self:await(call, math.max(deadline - self.now(), 0))
  self.connection:give_up(call)
  return value, message, code, reason
end

function printing:receive(timeout)
  local deadline = self.now() + timeout
  while true do
    local message, problem, code = self.connection:receive(math.max(math.min(deadline - self.now(), LOOK_EVERY), 0))
    self:serve(deadline)
    if message ~= nil or code ~= "timeout" or self.now() >= deadline then return message, problem, code end
  end
end

function printing:sleep(ms)
  if self.showing == MOST_SHOWS then return self.connection:sleep(ms) end
  local deadline = self.now() + ms
  while true do
    local _, message, code = self.connection:await_output(time_left(self, deadline))
    self:serve(deadline)
    if code and code ~= "timeout" then return nil, message, code end
    if self.now() >= deadline then return true end
  end
end

function printing:pump()
  local pumped, message, code = self.connection:pump()
  self:serve(self.now() + LOOK_EVERY) -- what is left makes `timeout` 0
  return pumped, message, code
end

return printing
