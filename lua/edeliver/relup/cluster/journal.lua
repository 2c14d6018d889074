--- The journal of a rollout: what was begun on which node and how it ended, for people and for the same command run again; and a
-- file beside it through which another terminal says pause, continue, abort or revert.
--
-- @classmod edeliver.relup.cluster.journal

local core = require "edeliver.relup.core"
local dkjson = require "dkjson"
local journals = require "edeliver.relup.undo.journal"
local program = require "edeliver.relup.base.program"
local uv = require "luv"

local journal = {}
journal.__index = journal

local LARGEST = 64 << 20 -- bytes
local WORDS = { pause = true, continue = true, abort = true, revert = true }

local function folder()
  local above, message, code = journals.folder()
  if not above then return nil, message, code end
  local path = above .. "/rollouts"
  local made
  made, message = core.private_folder(above)
  if made then made, message = core.private_folder(path) end
  if not made then return nil, message, "journal" end
  return path
end

-- The text of a file that is nobody else's.
local function text_of(path)
  local file <close>, message = core.open_private(path)
  if not file then return nil, message end
  local about = core.file_stat(file)
  if not about or about.size > LARGEST then return nil, path .. " is too large" end
  return file:read "a"
end

--- Begins one.
-- @tparam table fields of its first line
-- @return[1] journal, with `id` and `path`
-- @return[2] nil, message, code
function journal.begin(fields)
  local place, message, code = folder()
  if not place then return nil, message, code end
  local id = ("%s-%04x"):format(os.date "!%Y%m%dT%H%M%SZ", math.random(0, 0xffff))
  local self = setmetatable({ id = id, path = ("%s/%s.jsonl"):format(place, id), heard = 0 }, journal)
  self.file, message = core.open_private(self.path, "a")
  if not self.file then return nil, message, "journal" end
  local pid = uv.os_getpid()
  fields.id, fields.pid, fields.started, fields.since_boot = id, pid, program.started(pid), math.floor(core.now())
  self:write("rollout", fields)
  return self
end

--- Writes an event. A line that cannot be written does not end the rollout.
function journal:write(event, fields)
  local line = { at = os.date "!%Y-%m-%dT%H:%M:%SZ", event = event }
  for name, value in pairs(fields or {}) do line[name] = value end
  self.file:write(dkjson.encode(line), "\n")
  self.file:flush()
end

--- What another terminal has said since this was asked last: "pause", "continue", "abort", "revert", or nil.
function journal:command()
  local text = text_of(self.path .. ".commands")
  if not text or #text <= self.heard then return nil end
  local word
  for line in text:sub(self.heard + 1):gmatch "([^\n]*)\n" do
    if WORDS[line] then word = line end
    self.heard = self.heard + #line + 1
  end
  return word
end

--- Ends it.
function journal:close(fields)
  self:write("end", fields)
  self.file:close()
  os.remove(self.path .. ".commands")
end

-- Others ---------------------------------------------------------------------------------------------------------------

-- What a journal says: its first line, the last state of each node, and how it ended.
local function read(path)
  local text, message = text_of(path)
  if not text then return nil, message end
  local found = { path = path, nodes = {}, order = {} }
  for raw in text:gmatch "([^\n]*)\n" do
    local line = dkjson.decode(raw)
    if type(line) == "table" then
      if line.event == "rollout" then found.first = line end
      if line.event == "end" then found.ended = line end
      if line.event == "state" and type(line.node) == "string" then
        if not found.nodes[line.node] then found.order[#found.order + 1] = line.node end
        found.nodes[line.node] = line
      end
    end
  end
  if not found.first then return nil, path .. " is no journal of a rollout" end
  return found
end

--- The rollouts of this user, the newest first.
-- @return[1] a list of `{ path =, first = its first line, nodes = last line by node, order = names, ended = last line or nil }`
-- @return[2] nil, message, code
function journal.all()
  local place, message, code = folder()
  if not place then return nil, message, code end
  local names
  names, message, code = core.list_folder(place)
  if not names then return nil, message, code end
  local found = {}
  for name, kind in pairs(names) do
    local one = kind == "file" and name:find "%.jsonl$" and read(place .. "/" .. name)
    if one then found[#found + 1] = one end
  end
  table.sort(found, function(a, b) return journals.newest_first(a.first, b.first) end)
  return found
end

--- Whether the program of a rollout is there.
-- @tparam table found one of `all`
-- @treturn boolean
function journal.is_active(found)
  local pid = math.tointeger(found.first.pid)
  return not found.ended and pid ~= nil and found.first.started ~= nil and program.started(pid) == found.first.started
end

--- Says something to a rollout that runs.
-- @tparam table found one of `all`
-- @string word "pause", "continue", "abort", "revert"
-- @return[1] true
-- @return[2] nil, message, code
function journal.say(found, word)
  local file, message = core.open_private(found.path .. ".commands", "a")
  if not file then return nil, message, "journal" end
  file:write(word, "\n")
  file:close()
  return true
end

return journal
