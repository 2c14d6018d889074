--- Sends files of a release to a node: in slices, several on the way, as large as the link is quick; what lies there already of
-- a sending that was cut off is not sent again.
--
-- A process on the node takes them in (take_in.erl), below another name, and only when all of them are whole and on the disk do
-- they get their own. Knows no plan.
--
-- @classmod edeliver.relup.deploy.sending

local core = require "edeliver.relup.core"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"
local operator = require "edeliver.relup.base.operator"

local sending = {}
sending.__index = sending

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local LEAST, MOST = 16 * 1024, 1024 * 1024 -- bytes of a slice
local ON_THE_WAY = 16 -- slices
local QUICK, SLOW = 500, 2000 -- ms that a slice takes
local STALLED, FINISH = 60000, 600000 -- ms
local PACKED_BELOW = 4000 -- bytes a millisecond: on a link that is slower, packing pays
local RESUMED = 1024 * 1024 -- bytes that make it worth it to go on in the middle of a file

local STARTED = shape.either(shape.tuple(shape.is(atom "ok"), shape.pid), shape.tuple(shape.is(atom "busy"), shape.any))
local DIGESTS = shape.list(shape.tuple(shape.binary, shape.integer, shape.binary))
local DONE = shape.is(atom "ok")
local ANSWER = shape.either(DONE, shape.tuple(shape.is(atom "error"), shape.any))
local CHECKSUM = shape.tuple(shape.is(atom "checksum"), shape.text)
local THERE = shape.tuple(shape.atom, shape.binary)

local function bytes_of(hex) return (hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)) end

-- What the node refused, in words.
local function explain(self, reason)
  local where = self.node.name
  if reason == atom "enospc" or reason == atom "edquot" then return ("the disk of %s is full"):format(where), "no_room" end
  if reason == atom "eacces" or reason == atom "erofs" or reason == atom "eperm" then
    return ("%s may not write there: %s"):format(where, term.format(reason)), "no_rights"
  end
  if CHECKSUM(reason) then
    return ("%s is not what it was when it was compared: it has changed meanwhile"):format(shape.to_text(reason[2])), "changed"
  end
  if THERE(reason) then
    return ("%s cannot get its name on %s: %s"):format(shape.to_text(reason[2]), where, term.format(reason[1])), "refused"
  end
  return ("%s refused: %s"):format(where, term.format(reason)), "refused"
end

-- The process that takes in ---------------------------------------------------------------------------------------------


--- Begins: nobody else may be sending to that node.
-- @param node
-- @tparam table compared what `deploy.lacking` found
-- @tparam[opt] function progress gets the bytes that were sent, and all
-- @return[1] a sending, to be closed
-- @return[2] nil, message, code: "busy"
function sending.begin(node, compared, progress)
  local where = compared.where
  local answer, message, code = shape.expect(node, "who takes files in", STARTED, node:run("take_in", {
    Identity = charlist(compared.identity), Lib = charlist(where.lib), Owner = node:self(), Releases = charlist(where.releases),
    Running = charlist(where.running), Who = ("%s as %s"):format(operator.name(), tostring(node:self())),
  }, 60000))
  if not answer then return nil, message, code end
  if answer[1] == atom "busy" then
    return nil, ("Another deploy, started by %s, sends files to %s. Nothing was changed"):format(
      shape.to_text(answer[2]) or "somebody", node.name), "busy"
  end
  return setmetatable({
    node = node, compared = compared, pid = answer[2], progress = progress or function() end, next = 1, size = 64 * 1024,
    on_the_way = {}, records = {}, filled = 0, sent = 0, arrived = 0, all = compared.bytes,
    started = core.now(),
  }, sending)
end

local function ask(self, request, timeout)
  return shape.expect(self.node, "what takes files in", ANSWER, self.node:call("gen_server", "call", {
    self.pid, request, atom "infinity",
  }, timeout))
end

-- Slices ---------------------------------------------------------------------------------------------------------------

local function refused(self, answer, message, code)
  if answer == nil then return nil, message, code end
  return nil, explain(self, answer[2])
end

-- Waits for the oldest slice; the next are as large as it was quick.
local function await_one(self)
  local oldest = table.remove(self.on_the_way, 1)
  local answer, message, code = shape.expect(self.node, "what takes files in", ANSWER, self.node:await(oldest.request, STALLED))
  if answer == nil or not DONE(answer) then return refused(self, answer, message, code) end
  local took = core.now() - oldest.at
  if took < QUICK and oldest.bytes >= self.size then
    self.size = math.min(self.size * 2, MOST)
  elseif took > SLOW then
    self.size = math.max(self.size // 2, LEAST)
  end
  self.sent, self.arrived = self.sent + oldest.bytes, self.arrived + oldest.on_wire
  local lasted = core.now() - self.started
  if lasted > SLOW then self.packs = self.arrived < PACKED_BELOW * lasted end
  self.progress(self.sent, self.all)
  return true
end

-- The records of a slice, packed where that pays; and how many bytes they are.
local function pack(self)
  local records = list(self.records)
  if not self.packs then return records, self.filled end
  local packed = core.deflate(core.encode(records))
  if not packed or #packed > self.filled then return records, self.filled end
  return tuple { atom "packed", packed }, #packed
end

local function flush(self)
  if #self.records == 0 then return true end
  while #self.on_the_way >= ON_THE_WAY do
    local done, message, code = await_one(self)
    if not done then return nil, message, code end
  end
  local records, on_wire = pack(self)
  local request, message, code = self.node:request("gen_server", "call", {
    self.pid, tuple { atom "take", self.next, records }, atom "infinity",
  })
  if not request then return nil, message, code end
  table.insert(self.on_the_way, { request = request, bytes = self.filled, on_wire = on_wire, at = core.now() })
  self.next, self.records, self.filled = self.next + 1, {}, 0
  return true
end

local function add(self, record, bytes)
  table.insert(self.records, record)
  self.filled = self.filled + bytes
  if self.filled >= self.size or #self.records >= 1000 then return flush(self) end
  return true
end

local function drain(self)
  local done, message, code = flush(self)
  while done and #self.on_the_way > 0 do done, message, code = await_one(self) end
  return done, message, code
end

-- Files ----------------------------------------------------------------------------------------------------------------

local function last_of(file)
  return tuple { file.crc, file.mode & 64 ~= 0, file.like or atom "none" }
end

local function send_file(self, file, read)
  local at = 0
  local skip = file.resume_at or 0
  while at < skip do
    local passed = read(math.min(MOST, skip - at))
    if not passed then break end
    at = at + #passed
  end
  self.sent = self.sent + at
  repeat
    local data = at < file.size and read(math.min(self.size, file.size - at)) or ""
    if #data == 0 and at < file.size or at == file.size and read(1) then
      return nil, ("%s/%s has changed while it was sent"):format(self.compared.release.path, file.name), "changed"
    end
    local is_last = at + #data == file.size
    if is_last and #data > 0 and read(1) then
      return nil, ("%s/%s has changed while it was sent"):format(self.compared.release.path, file.name), "changed"
    end
    local done, message, code = add(self,
      tuple { atom "data", file.name, at, data, is_last and last_of(file) or atom "more" }, #data)
    if not done then return nil, message, code end
    at = at + #data
  until is_last
  return true
end

-- What has come already, of a sending that was cut off: whole files, and how far a large one had come.
local function look_at_taken(self)
  local where, found = self.compared.where, {}
  for top, folder in pairs { lib = where.lib, releases = where.releases } do
    local answers, message, code = shape.expect(self.node, "what has come already", DIGESTS, self.node:run("file_digests", {
      Root = charlist(("%s/.ship-%s"):format(folder, self.compared.identity)), Folders = list { charlist "." },
    }, 300000))
    if not answers then return nil, message, code end
    for _, answer in ipairs(answers) do
      found[top .. "/" .. answer[1]:gsub("^%./", "")] = { size = answer[2], md5 = answer[3] }
    end
  end
  return found
end

-- Sorts what is needed: what is there, what is copied on the node, what is sent; of two files with the same content one is sent.
local function sort_out(self, taken)
  local to_send, copies, first = {}, {}, {}
  for _, file in ipairs(self.compared.needed) do
    local there, key = taken[file.name], file.md5 .. file.size
    if there and there.size == file.size and there.md5 == bytes_of(file.md5) then
      self.all = self.all - (file.copy and 0 or file.size)
      first[key] = first[key] or file.name
    elseif file.copy then
      copies[#copies + 1] = tuple { atom "copy", file.copy, file.name, last_of(file) }
    else
      if there and there.size >= RESUMED and there.size < file.size then file.resume_at = there.size else file.resume_at = nil end
      to_send[#to_send + 1] = file
    end
  end
  local names, later = {}, {}
  for _, file in ipairs(to_send) do
    local key = file.md5 .. file.size
    if not first[key] and not file.of then
      first[key], names[file.name] = file.name, file
    else
      later[#later + 1] = file
    end
  end
  return names, copies, later, first
end

local function send_later(self, later, first)
  for _, file in ipairs(later) do
    local from = first[file.md5 .. file.size]
    self.all = self.all - file.size
    local done, message, code = add(self,
      tuple { atom "copy", tuple { atom "taken", from }, file.name, last_of(file) }, 0)
    if not done then return nil, message, code end
  end
  return true
end

local function send_all(self)
  local taken, message, code = look_at_taken(self)
  if not taken then return nil, message, code end
  local names, copies, later, first = sort_out(self, taken)
  local done = true
  for _, record in ipairs(copies) do
    done, message, code = add(self, record, 0)
    if not done then return nil, message, code end
  end
  if next(names) then
    done, message, code = self.compared.release.source:stream(names, function(name, read)
      return send_file(self, names[name], read)
    end)
  end
  if done then done, message, code = send_later(self, later, first) end
  if not done then return nil, message, code end
  for name, target in pairs(self.compared.links) do
    done, message, code = add(self, tuple { atom "link", name, target }, 0)
    if not done then return nil, message, code end
  end
  return drain(self)
end

--- Sends all.
-- @return[1] true: everything has its name on the node
-- @return[2] nil, message, code
function sending:run()
  local done, message, code = send_all(self)
  if not done then return nil, message, code end
  local folders = {}
  for i, folder in ipairs(self.compared.folders) do folders[i] = tuple { folder.name, folder.like or atom "none" } end
  local answer
  answer, message, code = ask(self, tuple { atom "finish", list(folders) }, FINISH)
  if answer == nil or not DONE(answer) then return refused(self, answer, message, code) end
  self.finished = true
  return true
end

--- Ends it: what has not got its name goes from the node, where that can be reached.
-- @return[1] true
-- @return[2] nil, what is left, code
function sending:close()
  if self.closed then return true end
  self.closed = true
  local answer, message, code = true, nil, nil
  if not self.finished then answer, message, code = ask(self, atom "forget", STALLED) end
  local left
  if answer then left, message, code = ask(self, atom "leave", STALLED) end
  if left then return true end
  local where, name = self.compared.where, ".ship-" .. self.compared.identity
  return nil, ("what was sent so far is left in %s/%s and %s/%s; the next deploy continues with it, or deletes it%s"):format(
    where.lib, name, where.releases, name, code == "nodedown" and "" or ": " .. message), code
end
sending.__close = sending.close

return sending
