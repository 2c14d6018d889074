--- What the program says: lines and tables for people, one JSON document for programs, errors on stderr.
--
-- A text from a node may hold anything, so every text is escaped here, even one that is escaped already. Colour is for terminals
-- only. Knows no command.
--
-- @classmod edeliver.relup.cli.output

local brief = require "edeliver.relup.cli.brief"
local columns = require "edeliver.relup.cli.columns"
local core = require "edeliver.relup.core"
local dkjson = require "dkjson"
local escape = require "edeliver.relup.base.escape"
local term = require "edeliver.relup.term"
local terminal = require "term"

local output = {}
output.__index = output

local COLORS = { bold = "1", dim = "2", red = "31", green = "32", yellow = "33" }
local SCHEMA = "edeliver-relup/1"
local EPIPE = 32 -- who read has gone, as `head` does
local NARROWEST = 60 -- columns that tables fit
local WAIT_TAKES = 12 -- columns for the mark and the seconds of a line that moves

--- Makes an output.
-- @tparam table options `command`, `node`, `json` (boolean), `lines` (a line of JSON for each event), `color` (false turns it
-- off), `verbose` (errors with all that Erlang says)
function output.new(options)
  local self = setmetatable({
    command = options.command, node = options.node, json = options.json or options.lines, lines = options.lines,
    verbose = options.verbose,
  }, output)
  self.is_terminal = not self.json and terminal.isatty(io.stdout)
  local plain = os.getenv "NO_COLOR"
  local plain_terminal = (plain ~= nil and plain ~= "") or os.getenv "TERM" == "dumb"
  self.color = self.is_terminal and options.color ~= false and not plain_terminal
  self.color_errors = not self.json and terminal.isatty(io.stderr) and options.color ~= false and not plain_terminal
  -- Where nothing is coloured, as in a log of CI that calls itself a terminal, nothing moves.
  self.moves = self.is_terminal and not plain_terminal and os.getenv "CI" == nil
  return self
end

--- See `edeliver.relup.base.escape`.
output.escape = escape.text

--- A text in colour, where colours are shown.
-- @string name of the colour
-- @string text escaped already
function output:paint(name, text)
  if not self.color then return text end
  return ("\27[%sm%s\27[0m"):format(COLORS[name], text)
end

-- What cannot be written to stdout, as into a pipe that nobody reads any more, goes to stderr.
local function write(self, stream, text)
  if stream == io.stdout then self:clear_progress() end
  if self.stdout_is_lost and stream == io.stdout then stream = io.stderr end
  local written, _, number = stream:write(text, "\n")
  if written then written, _, number = stream:flush() end
  if written or stream ~= io.stdout then return end
  self.stdout_is_lost, self.stdout_failed = true, number ~= EPIPE
  io.stderr:write(text, "\n")
end

--- A line for people; nothing in JSON.
-- @string text
-- @string[opt] color
function output:line(text, color)
  if self.json then return end
  text = output.escape(text)
  write(self, io.stdout, color and self:paint(color, text) or text)
end

--- A line on stderr: what the operator has to know, also where the output goes elsewhere.
-- @string text
-- @string[opt] color
function output:note(text, color)
  self:clear_progress()
  text = output.escape(text)
  write(self, io.stderr, color and self.color_errors and ("\27[%sm%s\27[0m"):format(COLORS[color], text) or text)
end

--- Whether anything can be written, as it cannot on a full disk: found out by saying that something begins, before it does. A
-- document begins with an empty line then.
-- @string text what begins, for people
-- @return[1] true
-- @return[2] nil, message
function output:begin(text)
  if self.lines then
    self:event { event = "begin" }
  elseif self.json then
    write(self, io.stdout, "")
  else
    self:line(text, "bold")
  end
  if not self.stdout_failed then return true end
  return nil, "standard output cannot be written, as on a full disk, so nothing was begun"
end

-- Tables -------------------------------------------------------------------------------------------------------------

-- How wide a terminal is; nil where there is none, so that nothing is cut. One that is narrower than all of ours scrolls.
local function limit_of(self)
  local wide = self.is_terminal and core.columns()
  return wide and math.max(wide, NARROWEST) or nil
end

--- An aligned table, numbers at the right. On a terminal it is made to fit: cells are cut, with "…".
-- @tparam table header names of the columns
-- @tparam table rows lists of strings and numbers
function output:table(header, rows)
  if self.json then return end
  local cells = {}
  for i, row in ipairs(rows) do
    cells[i] = {}
    for column = 1, #header do
      local value = row[column] == nil and "" or row[column]
      cells[i][column] = type(value) == "number" and value or (output.escape(value):gsub("\n", " "))
    end
  end
  for i, line in ipairs(columns.lines(header, cells, limit_of(self))) do
    write(self, io.stdout, i == 1 and self:paint("bold", line) or line)
  end
end

--- Names and values, one a line, aligned.
-- @tparam table pairs `{ name, value }`; a nil value leaves the line out
function output:facts(pairs_to_show)
  local width = 0
  for _, pair in ipairs(pairs_to_show) do width = math.max(width, columns.width(pair[1])) end
  for _, pair in ipairs(pairs_to_show) do
    if pair[2] ~= nil then self:line(("%s%s  %s"):format(pair[1], (" "):rep(width - columns.width(pair[1])), pair[2])) end
  end
end

-- Progress -----------------------------------------------------------------------------------------------------------

-- One line of the terminal, as wide as it is at most.
local function one_line(text, less)
  text = output.escape(text):gsub("%s*\n.*$", "")
  return columns.cut(text, math.max((core.columns() or NARROWEST) - less, 1))
end

--- A line that the next one overwrites; on terminals only.
function output:progress(text)
  if not self.is_terminal then return end
  if self.waiting then self:clear_progress() end
  io.stdout:write("\r\27[K", one_line(text, 1))
  io.stdout:flush()
  self.in_progress = true
end

--- A line that moves until something else is said, with the seconds that it takes; on terminals only.
-- @string text what is waited for
function output:wait(text)
  if not self.moves then return end
  if self.in_progress then self:clear_progress() end
  io.stdout:flush()
  core.spinner(one_line(text, WAIT_TAKES))
  self.waiting = true
end

--- Takes the progress line away.
function output:clear_progress()
  if self.waiting then
    core.spinner(nil)
    self.waiting = false
  end
  if not self.in_progress then return end
  io.stdout:write "\r\27[K"
  io.stdout:flush()
  self.in_progress = false
end

-- Results ------------------------------------------------------------------------------------------------------------

--- Remembers the result that the JSON document will hold.
function output:give(result) self.result = result end

--- What somebody else's failure is for people: without stack traces, unless --verbose wants them.
function output:brief(text) return self.verbose and text or brief.of(text) end

--- Whether what goes to stdout and what goes to stderr is read side by side: an error need not be said twice then.
function output:is_read_as_one() return self.is_terminal and terminal.isatty(io.stderr) end

--- Says on stderr what went wrong, and remembers it for the document.
-- @string message
-- @string[opt] code
function output:fail(message, code)
  self.failure = { message = output.escape(message), code = code or "failed" }
  self:note(("edeliver-relup %s: %s"):format(self.command, self:brief(message)), "red")
end

--- A list for JSON, which stays a list when it is empty.
function output.array(items) return setmetatable(items, { __jsontype = "array" }) end

-- A time of 9.8649999999907 ms has been measured as 9.865.
local function number(value)
  if math.type(value) == "integer" or value ~= value or math.abs(value) >= 2^52 then return value end
  return math.floor(value * 1000 + 0.5) / 1000
end

-- A value as JSON can have it: plain tables of texts, numbers and booleans, with their keys in order. Anything else becomes the
-- text that Erlang prints for it.
local function plain(value)
  local kind = type(value)
  if kind == "number" then return number(value) end
  if kind == "boolean" or value == nil then return value end
  if kind == "string" then return escape.utf8(value) end
  local meta = kind == "table" and getmetatable(value) or nil
  if kind ~= "table" or meta and not meta.__jsontype then return escape.text(term.kind(value) and term.format(value) or value) end
  local copy, keys = {}, {}
  for key, item in pairs(value) do
    key = type(key) == "string" and escape.utf8(key) or key
    copy[key] = plain(item)
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return setmetatable(copy, meta or { __jsonorder = keys })
end

--- An event, as a line of JSON where these were asked for.
function output:event(event)
  if self.lines then write(self, io.stdout, dkjson.encode(plain(event))) end
end

--- Ends the output: writes the document, in JSON.
-- @tparam integer exit_code
function output:close(exit_code)
  self:clear_progress()
  if not self.json then return end
  local document = plain {
    schema = SCHEMA, command = self.command, node = self.node, exit = exit_code, result = self.result, error = self.failure,
  }
  getmetatable(document).__jsonorder = { "event", "schema", "command", "node", "exit", "result", "error" }
  if self.lines then document.event = "end" end
  write(self, io.stdout, dkjson.encode(document, { indent = not self.lines }))
end

return output
