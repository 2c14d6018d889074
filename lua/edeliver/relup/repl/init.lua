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
    help = function(x) print(help.text(x)) end,
  }, { __index = _G })

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
  local chunk = load("return " .. text, "=line", "t", environment)
  local message
  if not chunk then chunk, message = load(text, "=line", "t", environment) end
  if chunk then return chunk end
  return nil, is_incomplete(message) and "more" or message
end

local function explain(problem)
  if type(problem) == "string" and problem:find("interrupted", 1, true) then return "interrupted" end
  return "error: " .. tostring(problem)
end

-- Runs something that may raise, fail or be interrupted; prints what it gave.
local function run(action)
  core.catch_signals()
  local results = table.pack(xpcall(action, explain))
  core.release_signals()
  local text
  if results[1] then text = show.results(table.pack(table.unpack(results, 2, results.n))) else text = show.plain(results[2]) end
  if text then print(text) end
end

local function evaluate_erlang(self, text)
  local node = self.environment.node
  if not node then return print "no node is open: connect \"name@host\"" end
  run(function() return self.erlang:eval(node, text) end)
end

-- A line, or nil at the end. A Ctrl-C drops what was typed; other signals end it.
local function read_line(self, text)
  while true do
    core.catch_signals()
    local read, line = pcall(self.reader.read, text)
    core.release_signals()
    if read then return line end
    local signal = tostring(line):match "interrupted by (SIG%u+)"
    if not signal then error(line, 0) end
    print()
    if signal ~= "SIGINT" then return nil end
  end
end

-- Reads on until a statement is whole.
local function read_statement(self, first)
  local text = first
  while true do
    local chunk, problem = compile(text, self.environment)
    if chunk or problem ~= "more" then return text, chunk, problem end
    local line = read_line(self, "... ")
    if not line then return text, nil, "it is not complete" end
    text = text .. "\n" .. line
  end
end

local function evaluate_lua(self, line)
  local text, chunk, problem = read_statement(self, line)
  if text ~= line then self.reader.remember((text:gsub("\n", " "))) end
  if not chunk then return print("error: " .. show.plain(problem)) end
  run(chunk)
end

local function evaluate(self, line)
  self.reader.remember(line)
  if line:find "^%s*:" then return evaluate_erlang(self, line:match "^%s*:(.*)$") end
  if line:find "^%s*=" then line = line:gsub("^%s*=", "return ", 1) end
  if line:find "%S" then evaluate_lua(self, line) end
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

--- Runs a REPL until its input ends.
-- @param[opt] node to begin with; it is closed at the end, and so are those that were opened meanwhile
-- @tparam[opt] table options how further nodes are connected to
function repl.run(node, options)
  local self = setmetatable({ nodes = {}, options = options, erlang = erlang.new() }, session)
  self.environment = new_environment(self)
  if node then self:use(node) end
  self.reader = reader.new(complete.new(self.environment, function() return self.environment.node end),
    function() return known_secrets(self) end)
  local closing <close> = setmetatable({}, { __close = function() self:close() end }) -- luacheck: ignore closing
  for line in function() return read_line(self, prompt(self)) end do evaluate(self, line) end
  self.reader.close()
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
  repl.run()
  os.exit(true, true)
end

return repl
