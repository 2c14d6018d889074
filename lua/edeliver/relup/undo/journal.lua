--- The journal of a run: one line of JSON for each event, on the disk before the act that it announces.
--
-- With it a later run can undo what this one could not (`edeliver.relup.recover`). What announces an act is synced, so that it
-- outlives a loss of power; the rest is flushed, so that it outlives this program. Knows no steps; writes what it is told.
--
-- @classmod edeliver.relup.undo.journal

local json = require "dkjson"
local core = require "edeliver.relup.core"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

core.set_types(term.types) -- a journal may be read before there is any node

local journal = {}
journal.__index = journal

local SHOWN = 400 -- characters of a call; its bytes are all there
local KEYS = { keyorder = {
  "at", "ms", "event", "format", "node", "creation", "operator", "application", "version", "name", "status", "took", "ok",
  "still_suspended", "still_undone", "message", "count", "pids", "key", "id", "call", "etf",
} }

-- Where journals lie ---------------------------------------------------------------------------------------------------

--- The folder of journals: `$XDG_STATE_HOME/edeliver-relup`, by default `~/.local/state/edeliver-relup`.
-- @return[1] the folder
-- @return[2] nil, message, code
function journal.folder()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if state and state:sub(1, 1) == "/" then return state .. "/edeliver-relup" end
  if home and home ~= "" then return home .. "/.local/state/edeliver-relup" end
  return nil, "neither XDG_STATE_HOME nor HOME says where journals go: config.journal names a file, or is false for none",
    "system"
end

local function quoted(path) return "'" .. path:gsub("'", "'\\''") .. "'" end

-- A new name in that folder, which is made where it is missing.
local function default_path(node)
  local folder, message, code = journal.folder()
  if not folder then return nil, message, code end
  if not os.execute(("mkdir -p -m 700 %s 2>/dev/null"):format(quoted(folder))) then
    return nil, ("the folder %s of journals cannot be made: config.journal names a file, or is false for none"):format(folder),
      "system"
  end
  local name = node.name:gsub("[^%w@._-]", "_")
  return ("%s/%s-%s-%04x.jsonl"):format(folder, name, os.date "!%Y%m%dT%H%M%SZ", math.random(0, 0xffff))
end

-- Writing --------------------------------------------------------------------------------------------------------------

--- Opens a journal for a run on a node and writes its first line.
-- @param node
-- @tparam[opt] string path the file, appended to; default: a new one in `journal.folder()`
-- @tparam[opt] table fields for the first line
-- @return[1] journal; `path` says where it lies
-- @return[2] nil, message, code
function journal.open(node, path, fields)
  local message, code
  if not path then
    path, message, code = default_path(node)
    if not path then return nil, message, code end
  end
  local file
  file, message = io.open(path, "ab")
  if not file then return nil, ("no journal can be written: %s"):format(message), "journal" end
  local self = setmetatable({ path = path, file = file, started = core.now() }, journal)
  self.cut = file:seek "end" ~= 0 -- perhaps: another run's last line
  local creation, problem, why = shape.expect(node, "erlang:system_info", shape.integer,
    node:call("erlang", "system_info", { term.atom "creation" }))
  if creation == nil then return nil, problem, why end
  local first = { node = node.name, creation = creation, format = 1 }
  for name, value in pairs(fields or {}) do first[name] = value end
  local written
  written, message, code = self:write("run", first, true)
  if not written then return nil, message, code end
  return self
end

--- Writes an event.
-- @string event
-- @tparam[opt] table fields
-- @tparam[opt] boolean announces whether an act follows: then the line is on the disk before this returns
-- @return[1] true
-- @return[2] nil, message, code
function journal:write(event, fields, announces)
  local line = { at = os.date "!%Y-%m-%dT%H:%M:%SZ", ms = math.floor(core.now() - self.started), event = event }
  for name, value in pairs(fields or {}) do line[name] = value end
  local written, message = self.file:write((self.cut and "\n" or "") .. json.encode(line, KEYS) .. "\n")
  if written then
    if announces then written, message = core.sync(self.file) else written, message = self.file:flush() end
  end
  self.cut = not written
  if not written then
    return nil, ("the journal %s cannot be written: %s"):format(self.path, message), "journal"
  end
  return true
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- A call that undoes something, for people and for us.
local function undo_fields(entry)
  local text = term.format(entry.term)
  if #text > SHOWN then text = text:sub(1, SHOWN) .. "..." end
  return { key = entry.key, id = entry.number, call = text, etf = hex(core.encode(entry.term)) }
end

--- What a ledger tells its events to.
function journal:observer()
  local number = 0
  return function(event, data)
    if event == "suspend" then return self:write(event, { count = #data, pids = data:text() }, true) end
    if event == "owed" then return self:write(event, { count = #data, pids = data:text() }) end
    if event == "apply" then
      local undos = {}
      for i, entry in ipairs(data) do
        number = number + 1
        entry.number = number
        undos[i] = undo_fields(entry)
      end
      return self:write(event, { undos = undos }, true)
    end
    if event == "undone" then return self:write(event, { id = data.number, key = data.key }) end
  end
end

--- Writes the last line, and closes the file.
function journal:close(fields)
  local written, message, code = self:write("end", fields, true)
  self.file:close()
  return written, message, code
end

-- Reading --------------------------------------------------------------------------------------------------------------

local function bytes_of(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- One function for each event that changes what is owed.
local events = {}

function events.run(state, line)
  for field in pairs(state) do state[field] = nil end
  state.node, state.creation, state.run, state.pids, state.undos = line.node, line.creation, line, {}, {}
end

function events.suspend(state, line)
  for pid in line.pids:gmatch "%S+" do state.pids[pid] = true end
end

function events.owed(state, line)
  state.pids = {}
  events.suspend(state, line)
end

function events.apply(state, line)
  for _, undo in ipairs(line.undos) do
    local call = core.decode(bytes_of(undo.etf))
    if not call then error("an undo is damaged", 0) end
    table.insert(state.undos, { key = undo.key, number = undo.id, undo = { call[1].name, call[2].name, call[3] } })
  end
end

function events.undone(state, line)
  for i = #state.undos, 1, -1 do
    if state.undos[i].number == line.id then table.remove(state.undos, i) end
  end
end

events["end"] = function(state, line)
  state.ended = line
  if line.still_suspended == 0 then state.pids = {} end
  if line.still_undone == 0 then state.undos = {} end
end

--- What a journal says of its last run. Lines that were cut off are no harm: what they announced was not done.
-- @string path
-- @return[1] `{ node =, creation =, run = the first line, pids = a list of owed pids as text, undos = list of { key =,
-- undo = { module, fun, arguments } }, ended = the last line or nil }`
-- @return[2] nil, message, code
function journal.read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message, "journal" end
  local text = file:read "a"
  file:close()
  local state, number = {}, 0
  for raw in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local line = json.decode(raw)
    local whole = type(line) == "table"
    local done, problem = pcall(function()
      if not state.run and not (whole and line.event == "run") then error("no line of a journal", 0) end
      if whole and events[line.event] then events[line.event](state, line) end
    end)
    if not done then return nil, ("%s, line %d: %s"):format(path, number, tostring(problem)), "journal" end
  end
  if not state.run then return nil, path .. " is no journal of a run", "journal" end
  local pids = {}
  for pid in pairs(state.pids) do pids[#pids + 1] = pid end
  table.sort(pids)
  state.pids = pids
  return state
end

return journal
