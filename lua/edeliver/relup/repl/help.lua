--- `help(x)`: what the documentation says of a thing, read from where the thing was written.
--
-- Every public function and module carries its words above it in the source; this finds them again.
--
-- @module edeliver.relup.repl.help

local instruction = require "edeliver.relup.instruction"
local own_file = require "edeliver.relup.base.own_file"
local term = require "edeliver.relup.term"

local help = {}

local OVERVIEW = [[
node                the node in use: node:call("erlang", "node"), node:processes(), node:suspended(), ...
nodes               all that are open, by name; connect "name@host" opens another, use "name@host" changes
:expression         Erlang, evaluated on the node: :erlang:memory(total)   variables stay bound
relup               connect, sequence, install, read, term
instructions        every instruction: instructions.resume_channels.run(node, "myapp")
atom tuple list charlist map   make terms; strings are binaries
help(x)             x: a function, a module, a node, or a name in quotes: help "resume_channels", help "sequence"]]

local function lines_of(path)
  local text = own_file.read(path)
  if not text then return nil end
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

-- A tag of LDoc in words for people.
local function plain(line)
  line = line:gsub("^%-%-%-? ?", "")
  line = line:gsub("^@tparam(%b[]) (%S+) (%S+)", "  %3 (%2, optional):"):gsub("^@tparam (%S+) (%S+)", "  %2 (%1):")
  line = line:gsub("^@param(%b[]) (%S+)", "  %2 (optional):"):gsub("^@param (%S+)", "  %1:")
  line = line:gsub("^@string(%b[]) (%S+)", "  %2 (string, optional):"):gsub("^@string (%S+)", "  %1 (string):")
  line = line:gsub("^@t?return%b[] ?", "  gives "):gsub("^@t?return ?", "  gives "):gsub("^@usage ?", "  for example: ")
  line = line:gsub("^@see (.*)", "  see %1")
  return line
end

-- The comment that ends right above a line; functions of one line each may share one.
local function comment_above(lines, at)
  while at > 1 and lines[at - 1]:find "^function .* end" do at = at - 1 end
  local first = at
  while first > 1 and lines[first - 1]:find "^%s*%-%-" do first = first - 1 end
  if first == at or not lines[first]:find "^%s*%-%-%-" then return nil end
  local text = {}
  for i = first, at - 1 do
    local line = lines[i]:gsub("^%s+", "")
    if not line:find "^%-%- @function" then text[#text + 1] = plain(line) end
  end
  return table.concat(text, "\n")
end

local function is_tag(line) return line:find "^%-%- @module" or line:find "^%-%- @classmod" end

local function header_of(lines)
  local text = {}
  for _, line in ipairs(lines) do
    if not line:find "^%-%-" then break end
    if not is_tag(line) then text[#text + 1] = plain(line) end
  end
  return (table.concat(text, "\n"):gsub("%s+$", ""))
end

-- A function's words: above where it is defined, or above where a table names it (`kind = compare.kind`).
local function of_function(fun)
  local info = debug.getinfo(fun, "S")
  local lines = info.source:sub(1, 1) == "@" and lines_of(info.source:sub(2))
  if not lines then return nil end
  return comment_above(lines, info.linedefined)
end

local function first_sentence(text)
  local line = text:gsub("\n", " ")
  return line:match "^(.-%.)%s" or line
end

-- How a module defines what it exports: as a function, as a field, or in a table. In this order, wherever they stand.
local DEFINITIONS = { "^function [%%w_.]+[.:]%s%%s*%%(", "^[%%w_.]+%%.%s%%s*=", "^%%s+%s = " }

-- What stands above where a module defines a name.
local function of_field(lines, name)
  for _, pattern in ipairs(DEFINITIONS) do
    for i, line in ipairs(lines) do
      local found = line:find(pattern:format(name)) and comment_above(lines, i)
      if found then return found end
    end
  end
end

-- Words of a function that is known as a field of a module.
local function of_member(lines, name, value) return of_field(lines, name) or of_function(value) end

local function of_module(name, module)
  local path = own_file.path_of(name)
  local lines = path and lines_of(path)
  if not lines then return nil end
  local text, names = { name .. "\n" .. header_of(lines) }, {}
  for key, value in pairs(module) do
    if type(key) == "string" and type(value) == "function" and not key:find "^__" then names[#names + 1] = key end
  end
  table.sort(names)
  for _, key in ipairs(names) do
    local words = of_member(lines, key, module[key])
    if words then text[#text + 1] = ("  %-28s %s"):format(key, first_sentence(words)) end
  end
  return table.concat(text, "\n")
end

-- The name under which a table was loaded.
local function module_name(value)
  for name, module in pairs(package.loaded) do
    if rawequal(module, value) and name:find "^edeliver" then return name end
  end
end

local function of_table(value)
  local name = module_name(value)
  if name then return of_module(name, value) end
  local class = getmetatable(value)
  name = class and module_name(class)
  return name and of_module(name, class)
end

local function of_name(name)
  if instruction.is_built_in(name) then
    return of_module("edeliver.relup.instructions." .. name, instruction.load(name))
  end
  local full = name:find "^edeliver%." and name or "edeliver.relup." .. name
  if own_file.path_of(full) then
    local loaded, module = pcall(require, full)
    if loaded and type(module) == "table" then return of_module(full, module) end
  end
  for _, owner in ipairs { "edeliver.relup", "edeliver.relup.node", "edeliver.relup.term" } do
    local member = require(owner)[name]
    if type(member) == "function" then return of_member(lines_of(own_file.path_of(owner)), name, member) end
  end
end

-- A function that modules of ours export under some name: the words of the one that defines it, else of the first that has some.
local function of_exported(fun)
  local source, exporters = debug.getinfo(fun, "S").source:sub(2), {}
  for name, module in pairs(package.loaded) do
    for key, value in pairs(name:find "^edeliver" and type(module) == "table" and module or {}) do
      local path = rawequal(value, fun) and type(key) == "string" and own_file.path_of(name)
      if path then exporters[#exporters + 1] = { path = path, key = key, defines = path == source } end
    end
  end
  table.sort(exporters, function(a, b)
    if a.defines ~= b.defines then return a.defines end
    return a.path == b.path and a.key < b.key or a.path < b.path
  end)
  for _, exporter in ipairs(exporters) do
    local found = of_member(lines_of(exporter.path), exporter.key, fun)
    if found then return found end
  end
end

--- What there is to know of a thing, as text.
-- @param x a function, a module, a node, a report, a term, or a name; nothing for an overview
-- @treturn string
function help.text(x)
  if x == nil then return OVERVIEW end
  local found
  if type(x) == "function" then
    found = of_exported(x) or of_function(x)
  elseif type(x) == "string" then
    found = of_name(x)
  elseif type(x) == "table" and not term.kind(x) then
    found = of_table(x)
  end
  if found then return found end
  local kind = term.kind(x)
  if kind and type(x) ~= "string" then return ("%s: an Erlang %s. help \"term\" tells how terms are made."):format(x, kind) end
  return "nothing is written about that. help() shows what there is."
end

return help
