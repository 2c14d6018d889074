--- What an observer on the node of a chat release has written down (spec/support/observer): read here, and held against what
-- an operator was told.

local compiled = require "support.compiled"
local process = require "support.process"
local term = require "edeliver.relup.term"

local observer = {}
local methods = {}
observer.__index = methods

--- What `chat.start` needs for a node that is observed.
-- @treturn table words for erl
-- @treturn string the name of the environment variable with the path of the record
function observer.arguments()
  local beam = compiled "observer" .. "/chat_observer"
  return { "-eval", ("{module,_} = code:load_abs(%q), chat_observer:start()."):format(beam) }, "CHAT_OBSERVED"
end

--- A reader of the record at a path.
function observer.new(path) return setmetatable({ path = path, read = 0, marks = 0 }, observer) end

--- Begins to look: what `seen` gives is from here on.
-- @param node a connection to the node
function methods:mark(node)
  self.marks = self.marks + 1
  assert(node:call("chat_observer", "mark", { tostring(self.marks) }) == term.atom "ok", "the observer is gone")
  local text = assert(process.read_file(self.path))
  self.read = select(2, text:find((".*\n%%d+ mark %d\n"):format(self.marks)))
end

--- Waits until it has looked once more, whatever the machine does besides.
function methods:catch_up(node) -- luacheck: ignore self
  assert(node:call("chat_observer", "catch_up", {}, 10000) == term.atom "ok", "the observer is gone")
end

local function note_number(seen, name, value)
  seen.most[name], seen.least[name] = math.max(seen.most[name] or 0, value), math.min(seen.least[name] or value, value)
end

--- What happened since the mark.
-- @return `{ lines =, suspended =, acceptors =, asked =, code =, guard = how it is now, most = and least = of the numbers,
-- codes = the versions that were loaded one after the other, starts = how often the node has started, creation = its newest,
-- before = the version that was loaded when it ended }`
function methods:seen()
  local file = assert(io.open(self.path, "rb"))
  file:seek("set", self.read)
  local seen = { lines = file:read "a", most = {}, least = {}, codes = {}, starts = 0 }
  file:close()
  for name, value in seen.lines:gmatch "%d+ (%l+) (%S+)\n" do
    local number = tonumber(value)
    if name == "start" then
      seen.starts, seen.creation, seen.before = seen.starts + 1, value, seen.code
    elseif name == "code" then
      if value ~= "none" and value ~= seen.code then table.insert(seen.codes, value) end
      seen.code = value ~= "none" and value or seen.code
    elseif number then
      seen[name] = number
      note_number(seen, name, number)
    else
      seen[name] = value
    end
  end
  return seen
end

return observer
