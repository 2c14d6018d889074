--- The journal of a run: one line of JSON for each event, on the disk before the act that it announces.
--
-- With it a later run can undo what this one could not (`edeliver.relup.recover`). What announces an act is synced, so that it
-- outlives a loss of power; the rest is flushed, so that it outlives this program. Knows no steps.
--
-- @classmod edeliver.relup.undo.journal

local json = require "dkjson"
local core = require "edeliver.relup.core"
local escape = require "edeliver.relup.base.escape"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

core.set_types(term.types) -- a journal may be read before there is any node

local journal = {}
journal.__index = journal

local SHOWN = 400 -- characters of a call; its bytes are all there
local TRIES = 5 -- to find a name that is not taken
local KEYS = {
  "at", "ms", "event", "format", "since_boot", "node", "creation", "operator", "command", "application", "version", "name",
  "status", "took", "ok", "by", "still_suspended", "still_undone", "message", "count", "pids", "key", "id", "call", "etf",
}

-- Where journals lie ---------------------------------------------------------------------------------------------------

--- The folder of journals: `$XDG_STATE_HOME/edeliver-relup`, by default `~/.local/state/edeliver-relup`.
-- @return[1] the folder
-- @return[2] nil, message, code
function journal.folder()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if state and state:sub(1, 1) == "/" then return state .. "/edeliver-relup" end
  if home and home ~= "" then return home .. "/.local/state/edeliver-relup" end
  return nil, "neither XDG_STATE_HOME nor HOME says where journals go: --journal (config.journal) names another file",
    "system"
end

-- A new file in that folder, which is made where it is missing; both are nobody else's.
local function open_default(node)
  local folder, message, code = journal.folder()
  if not folder then return nil, message, code end
  local made
  made, message = core.private_folder(folder)
  if not made then
    return nil, ("no journal can be written: %s. --journal (config.journal) names another file"):format(message), "journal"
  end
  local name, file, path = node.name:gsub("[^%w@._-]", "_")
  for _ = 1, TRIES do
    path = ("%s/%s-%s-%08x.jsonl"):format(folder, name, os.date "!%Y%m%dT%H%M%SZ", math.random(0, 0xffffffff))
    file, message, code = core.open_private(path, "new")
    if code ~= "exists" then break end
  end
  return file, file and path or message, code
end

-- A journal belongs to one run: what another one owes must not be lost in it.
local function open_named(path)
  local file, message, code = core.open_private(path, "new")
  if code == "exists" then
    return nil, ("the journal %s exists already, and a journal belongs to one run: name a new file"):format(path), code
  end
  return file, file and path or message, code
end

-- "2026-01-02T03:04:05Z" has seconds alone: of the runs of one second, the milliseconds since the machine's boot tell.
local function began(line) return tostring(line.at), tonumber(line.since_boot) or 0 end

--- The order of what began, the newest first, for `table.sort`.
-- @tparam table a `{ at =, since_boot = }`, as in the first line of a journal
-- @tparam table b
-- @treturn boolean whether `a` comes before `b`
function journal.newest_first(a, b)
  local at, ms = began(a)
  local other_at, other_ms = began(b)
  if at ~= other_at then return at > other_at end
  return ms > other_ms
end

-- Writing --------------------------------------------------------------------------------------------------------------

--- Opens a new journal for a run on a node and writes its first line. Nobody else can read it.
-- @param node
-- @tparam[opt] string path a file that is not there yet; default: one in `journal.folder()`
-- @tparam[opt] table fields for the first line
-- @return[1] journal; `path` says where it lies
-- @return[2] nil, message, code
function journal.open(node, path, fields)
  local creation, message, code = shape.expect(node, "erlang:system_info", shape.integer,
    node:call("erlang", "system_info", { term.atom "creation" }))
  if creation == nil then return nil, message, code end
  local file, found
  if path then file, found, code = open_named(path) else file, found, code = open_default(node) end
  if not file then
    return nil, (code == "journal" or code == "exists") and found or "no journal can be written: " .. found, "journal"
  end
  local self = setmetatable({ path = found, file = file, started = core.now() }, journal)
  local first = { node = node.name, creation = creation, format = 1, since_boot = math.floor(self.started) }
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
  -- An encoder's state is for one line: one that a signal has cut off keeps its half of it.
  local text = json.encode(line, { keyorder = KEYS })
  local written, message = self.file:write((self.cut and "\n" or "") .. text .. "\n")
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
  local text = escape.shortened(term.format(entry.term), SHOWN)
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

--- See `edeliver.relup.undo.journal_reader`.
journal.read = require("edeliver.relup.undo.journal_reader").read

--- Writes into the journal of a run that has ended what has become of what it owed.
-- @string path
-- @tparam table fields `ok`, `still_suspended` and `still_undone` (numbers)
-- @return[1] true
-- @return[2] nil, message, code
function journal.settle(path, fields)
  local file, message = core.open_private(path, "a")
  if not file then return nil, ("the journal %s cannot be closed: %s"):format(path, message), "journal" end
  local self = setmetatable({ path = path, file = file, started = core.now(), cut = true }, journal)
  return self:close { by = "recover", ok = fields.ok, still_suspended = fields.still_suspended,
    still_undone = fields.still_undone }
end

return journal
