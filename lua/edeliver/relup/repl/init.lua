--- The REPL: Lua with the nodes at hand, Erlang behind a colon, and errors that never end it.
--
-- `edeliver-relup NODE repl` runs it, and so does plain `lua -i -l edeliver.relup`.
--
-- @module edeliver.relup.repl

local complete = require "edeliver.relup.repl.complete"
local core = require "edeliver.relup.core"
local erlang = require "edeliver.relup.repl.erlang"
local help = require "edeliver.relup.repl.help"
local instruction = require "edeliver.relup.instruction"
local reader = require "edeliver.relup.repl.reader"
local show = require "edeliver.relup.repl.show"
local spelling = require "edeliver.relup.repl.spelling"

local repl = {}

-- Every instruction by its name, loaded when it is first used.
local function all_instructions()
  local found = {}
  for _, name in ipairs(instruction.names) do found[name] = instruction.load(name) end
  return found
end

-- The names that a line can use. What it assigns stays here, and globals of Lua show through.
local function new_environment(session)
  local relup = require "edeliver.relup"
  local term = relup.term
  local environment = setmetatable({
    relup = relup, term = term, atom = term.atom, tuple = term.tuple, list = term.list, charlist = term.charlist,
    map = term.map, instructions = all_instructions(), nodes = session.nodes,
  }, { __index = _G })

  --- Says what the documentation has of a function, a module, a node, or a name in quotes; of nothing, what there is.
  function environment.help(x) print(help.text(x)) end

  --- Prints all of a value, however large it is.
  function environment.show(x) print(show.value(x, 0, true)) end

  --- Opens another node and uses it. Options as `relup.connect` takes them; by default those of the first node.
  function environment.connect(name, options)
    local node, message, code = relup.connect(name, options or session.options)
    if not node then return nil, message, code end
    return session:use(node)
  end

  --- Uses a node that is open.
  function environment.use(name)
    local node = session.nodes[name]
    if not node then return nil, ("%s is not open: connect %q opens it"):format(tostring(name), tostring(name)), "unknown" end
    return session:use(node)
  end
  return environment
end

local session = {}
session.__index = session

function session:use(node)
  self.nodes[node.name], self.environment.node = node, node
  -- What a called function prints is for the caller.
  if not node.show then node:on_output(function(text) io.write(show.plain(text)) end) end
  return node
end

function session:close()
  for _, node in pairs(self.nodes) do node:close() end
end

local function is_incomplete(message) return message ~= nil and message:find "<eof>$" ~= nil end

-- The function of a line: an expression's value first, else statements. Nil, message where it is neither; "more" where it
-- is to be read on in the next line.
local function compile(text, environment)
  local chunk, first = load("return " .. text, "=line", "t", environment)
  local message
  if not chunk then chunk, message = load(text, "=line", "t", environment) end
  if chunk then return chunk end
  return nil, (is_incomplete(first) or is_incomplete(message)) and "more" or message
end

-- A mistake that a function of ours complains of is told without the place in our files, and under the name that the line calls
-- first, where it begins with a call: who complains may be a function below it.
local function in_words_of(line, text)
  local inner = text:match "^[^\n]*edeliver/relup/[^:\n]*%.lua:%d+: (.*)$"
  local reason = inner and inner:match "^bad argument #%d+ to '[^']*' (%b())$"
  if not reason then return inner or text end
  local name = line:match "^%s*return%s+([%w_.:]+)" or line:match "^%s*([%w_.:]+)"
  return ("bad argument%s %s"):format(name and " to " .. name or "", reason)
end

-- What was raised, in words, and the name that was meant where one was mistyped.
local function explain(self, problem)
  if type(problem) == "string" and problem:find("interrupted", 1, true) then return "interrupted" end
  local text = "error: " .. (type(problem) == "table" and show.value(problem)
    or in_words_of(self.line or "", tostring(problem)))
  local meant = spelling.meant(text:match "%(global '([%w_]+)'%)", self.environment)
  return meant and ("%s. Did you mean %s?"):format(text, meant) or text
end

-- Says that a line failed.
local function fail(self, text)
  self.failed = true
  print(show.plain(text))
end

-- Runs something that may raise, fail or be interrupted; prints what it gave.
local function run(self, action)
  core.catch_signals()
  local results = table.pack(xpcall(action, function(problem) return explain(self, problem) end))
  core.release_signals()
  if not results[1] then return fail(self, results[2]) end
  local text, refused = show.results(table.pack(table.unpack(results, 2, results.n)))
  self.failed = self.failed or refused
  if text then print(text) end
end

-- A line, or nil at the end. A Ctrl-C drops what was typed; other signals end it.
-- @tparam[opt] boolean continues a statement, which a Ctrl-C drops: false then
local function read_line(self, text, continues)
  while true do
    core.catch_signals()
    local read, line = pcall(self.reader.read, text, continues)
    core.release_signals()
    if read then return line end
    local signal = tostring(line):match "interrupted by (SIG%u+)"
    if not signal then error(line, 0) end
    print()
    if signal ~= "SIGINT" then return nil end
    if continues then return false end
  end
end

-- Reads on until a statement is whole; nil where a Ctrl-C has dropped it.
local function read_statement(self, first)
  local text = first
  while true do
    local chunk, problem = compile(text, self.environment)
    if chunk or problem ~= "more" then return text, chunk, problem end
    local line = read_line(self, "... ", true)
    if line == false then return nil end
    if not line then return text, nil, "it is not complete" end
    text = text .. "\n" .. line
  end
end

-- Erlang that is not whole is read on, until a line that is empty.
local function evaluate_erlang(self, first)
  local node = self.environment.node
  if not node then return fail(self, "no node is open: connect \"name@host\"") end
  local text = first
  while self.erlang:is_incomplete(node, text) do
    local line = read_line(self, "... ", true)
    if line == false then return end
    if not line or line == "" then break end
    text = text .. "\n" .. line
  end
  self.line = nil
  if text ~= first then self.reader.remember((":" .. text:gsub("\n", " "))) end
  run(self, function() return self.erlang:eval(node, text) end)
end

-- A name alone that is nothing, and looks like one that is.
local function mistyped(self, line)
  local name = line:match "^%s*([%a_][%w_]*)%s*$"
  if not name or name == "nil" or self.environment[name] ~= nil then return nil end
  local meant = spelling.meant(name, self.environment)
  return meant and ("%s is nil. Did you mean %s?"):format(name, meant)
end

local function evaluate_lua(self, line)
  local text, chunk, problem = read_statement(self, line)
  if not text then return end
  if text ~= line then self.reader.remember((text:gsub("\n", " "))) end
  if not chunk then return fail(self, "error: " .. problem) end
  self.line = text
  local hint = mistyped(self, line)
  if hint then return fail(self, hint) end
  run(self, chunk)
end

local function evaluate(self, line)
  self.reader.remember(line)
  if line:find "^%s*:" then return evaluate_erlang(self, line:match "^%s*:(.*)$") end
  if line:find "^%s*=" then line = line:gsub("^%s*=", "return ", 1) end
  if line:find "%S" then evaluate_lua(self, line) end
end

-- `exit`, `quit`, also as a call: what people type to leave.
local function is_farewell(line)
  local word = line:match "^%s*(%a+)%s*[%(%)]*%s*;?%s*$"
  return word == "exit" or word == "quit"
end

-- What nodes were opened with, and a typed line must not keep.
local function known_secrets(self)
  local found = {}
  for _, node in pairs(self.nodes) do
    found[#found + 1] = node.options.cookie
    found[#found + 1] = node.options.tls and node.options.tls.password
  end
  return found
end

local function prompt(self)
  local node = self.environment.node
  return (node and node.name or "no node") .. "> "
end

--- Runs a REPL until its input ends, or somebody says exit.
-- @param[opt] node to begin with; it is closed at the end, and so are those that were opened meanwhile
-- @tparam[opt] table options how further nodes are connected to
-- @treturn boolean whether each line has gone well; true at a terminal, where a person has seen it
function repl.run(node, options)
  local self = setmetatable({ nodes = {}, options = options, erlang = erlang.new() }, session)
  self.environment = new_environment(self)
  if node then self:use(node) end
  self.reader = reader.new(complete.new(self.environment, function() return self.environment.node end),
    function() return known_secrets(self) end)
  local closing <close> = setmetatable({}, { __close = function() self:close() end }) -- luacheck: ignore closing
  for line in function() return read_line(self, prompt(self)) end do
    if is_farewell(line) then break end
    evaluate(self, line)
  end
  self.reader.close()
  return self.reader.is_terminal or not self.failed
end

-- Whether the program is `lua -i` with nothing but modules to load, this package among them: no script, no `-e`. A `require` at
-- Lua's own prompt changes nothing.
local function is_bare_prompt(arguments)
  local interactive, loads_us, i = false, false, 1
  while arguments[i] do
    local word = arguments[i]
    local module = word:match "^%-l(.*)"
    if module == "" then
      i = i + 1
      module = arguments[i] or ""
    end
    if word == "-i" then
      interactive = true
    elseif not module then
      return false
    end
    loads_us = loads_us or module ~= nil and module:find "%f[%w]edeliver%.relup$" ~= nil
    i = i + 1
  end
  return interactive and loads_us
end

--- Takes over the prompt of `lua -i -l edeliver.relup`. Does nothing in any other program.
-- @tparam ?table arguments the global `arg`
function repl.take_over(arguments)
  if type(arguments) ~= "table" or not is_bare_prompt(arguments) then return end
  print "edeliver-relup. help() shows what there is, Ctrl-D ends."
  os.exit(repl.run(), true)
end

return repl
