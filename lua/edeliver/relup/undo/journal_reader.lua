--- Reads a journal: what its run still owes.
--
-- Recovery does what a journal says, so it is read only where nobody else can have written it, and held against what a journal
-- can say, line by line. Asks no node, and undoes nothing.
--
-- @module edeliver.relup.undo.journal_reader

local json = require "dkjson"
local core = require "edeliver.relup.core"
local journaled_calls = require "edeliver.relup.undo.journaled_calls"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

core.set_types(term.types) -- a journal may be read before there is any node

local journal_reader = {}

local LARGEST = 256 << 20 -- bytes: a hundred times what a run with 100,000 processes writes

-- What is wrong with a line; `read` catches it and adds the line's number.
local function complain(problem) error({ problem = problem }, 0) end

local function want(value, kind, what)
  if type(value) ~= kind and math.type(value) ~= kind then complain(("its %s is no %s"):format(what, kind)) end
  return value
end

local function bytes_of(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- A call `{ module, fun, arguments }` from its bytes.
local CALL = shape.tuple(shape.atom, shape.atom, shape.list())
local function call_of(text)
  local call = core.decode(bytes_of(text))
  if not CALL(call) then complain "it has an undo that is no call" end
  local arguments = {}
  for i = 1, #call[3] do arguments[i] = call[3][i] end -- a short list of small integers may come as text
  return { call[1].name, call[2].name, term.list(arguments) }
end

-- One function for each event that changes what is owed.
local events = {}

function events.run(state, line)
  state.node, state.creation = want(line.node, "string", "node"), want(line.creation, "integer", "creation")
  state.run, state.pids, state.undos = line, {}, {}
end

function events.suspend(state, line)
  for pid in want(line.pids, "string", "pids"):gmatch "%S+" do
    if not pid:find "^<%d+%.%d+%.%d+>$" then complain "it names a process that is no pid" end
    state.pids[pid] = true
  end
end

function events.owed(state, line)
  state.pids = {}
  events.suspend(state, line)
end

function events.apply(state, line)
  for _, undo in ipairs(want(line.undos, "table", "undos")) do
    local call = call_of(want(want(undo, "table", "undo").etf, "string", "etf"))
    table.insert(state.undos, {
      key = want(undo.key, "string", "key"), number = want(undo.id, "integer", "id"), undo = call,
      shown = journaled_calls.describe(call), ours = journaled_calls.is_ours(call),
    })
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

-- The whole text of a file that nobody else can have written; looked at by its open handle.
local function text_of(path)
  local file <close>, message = core.open_plain(path)
  if not file then return nil, message, "journal" end
  local about, problem = core.file_stat(file)
  if not about then return nil, problem, "journal" end
  if not about.trusted then
    return nil, (about.ours and "others can write the journal %s, and recovery does what it says: look at it, then chmod 600 it"
      or "the journal %s belongs to another user, and recovery does what it says: look at it, then make it yours (chown)")
      :format(path), "not_private"
  end
  if about.size > LARGEST then return nil, path .. " is too large for a journal", "journal" end
  return file:read "a"
end

local function take_line(state, raw)
  local parsed, line = pcall(json.decode, raw)
  if not parsed then complain "it is nested too deeply" end
  local whole = type(line) == "table"
  if not state.run and not (whole and line.event == "run") then complain "no line of a journal" end
  if state.run and whole and line.event == "run" then complain "another run begins: a journal belongs to one run" end
  if whole and events[line.event] then events[line.event](state, line) end
end

local function sorted(set)
  local list = {}
  for item in pairs(set) do list[#list + 1] = item end
  table.sort(list)
  return list
end

--- What a journal says of its run. Lines that were cut off do no harm: what they announced was not done.
-- @string path
-- @return[1] `{ node =, creation =, run = the first line, pids = a list of owed pids as text, undos = list of { key =,
-- undo = { module, fun, arguments }, shown = the call in words, ours = whether one of our own steps may have journaled it },
-- ended = the last line or nil }`
-- @return[2] nil, message, code: "not_private" where it is another user's or others can write it; else "journal"
function journal_reader.read(path)
  local text, message, code = text_of(path)
  if not text then return nil, message, code end
  local state, number = {}, 0
  for raw in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local taken, problem = pcall(take_line, state, raw)
    if not taken then
      if type(problem) ~= "table" then error(problem, 0) end
      return nil, ("%s, line %d: %s"):format(path, number, problem.problem), "journal"
    end
  end
  if not state.run then return nil, path .. " is no journal of a run", "journal" end
  state.pids = sorted(state.pids)
  return state
end

return journal_reader
