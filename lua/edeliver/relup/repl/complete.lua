--- What a Tab in the REPL offers: names of Lua things, instructions, and modules and functions of the live node.
--
-- Asks the node at most once a second for its modules; a node that does not answer offers nothing.
--
-- @classmod edeliver.relup.repl.complete

local core = require "edeliver.relup.core"
local instruction = require "edeliver.relup.instruction"
local show = require "edeliver.relup.repl.show"
local term = require "edeliver.relup.term"

local complete = {}
complete.__index = complete

local FRESH, TIMEOUT = 1000, 1000 -- ms

--- A completer.
-- @tparam table environment of the REPL
-- @tparam function current gives the node in use, or nil
function complete.new(environment, current)
  return setmetatable({ environment = environment, current = current, cache = {} }, complete)
end

local function matching(names, start, prefix)
  local found = {}
  for _, name in ipairs(names) do
    if name:sub(1, #start) == start then found[#found + 1] = prefix .. name end
  end
  table.sort(found)
  return found
end

-- An atom as it has to be written in Erlang.
local function quoted(name) return term.format(term.atom(name)) end

local function remembered(self, key, ask)
  local entry = self.cache[key]
  if not entry or core.now() - entry.at > FRESH then
    entry = { at = core.now(), names = ask() or {} }
    self.cache[key] = entry
  end
  return entry.names
end

-- The atoms that the rows of a table on the node begin with, each once. Names are of the node's choosing: those that a terminal
-- would not show as they are are left out.
local function names_of(rows)
  local names, seen = {}, {}
  for _, row in ipairs(term.kind(rows) == "list" and rows or {}) do
    local first = term.kind(row) == "tuple" and row[1]
    local name = type(first) == "table" and term.kind(first) == "atom" and first.name
    if name and not seen[name] and not name:find "\n" and show.plain(name) == name then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  return names
end

-- Modules that the node has loaded, as Lua strings.
local function modules(self)
  local node = self.current()
  if not node then return {} end
  return remembered(self, node.name, function()
    return names_of((node:call("code", "all_loaded", {}, TIMEOUT)))
  end)
end

-- Functions that a module of the node exports.
local function functions(self, module)
  local node = self.current()
  if not node then return {} end
  return remembered(self, node.name .. " " .. module, function()
    return names_of((node:call(module, "module_info", { term.atom "exports" }, TIMEOUT)))
  end)
end

-- Those that mean themselves in a Lua string, and cannot end it.
local function plain_names(names)
  local plain = {}
  for _, name in ipairs(names) do
    if name:find "^[%w_.@?!]+$" then plain[#plain + 1] = name end
  end
  return plain
end

local function erlang_names(names)
  local written = {}
  for i, name in ipairs(names) do written[i] = quoted(name) end
  return written
end

-- `lists:rev`, `'Elixir.MyApp':st`: what is right before the cursor, in Erlang.
local function erlang(self, before)
  local module, start = before:match "([%w_@]+):([%w_@]*)$"
  if not module then module, start = before:match "'([^']+)':([%w_@]*)$" end
  if module then return erlang_names(functions(self, module)), start end
  start = before:match "'[^']*$" or before:match "[%w_@]*$"
  return erlang_names(modules(self)), start
end

-- Names below a Lua value: its fields and, for objects, those of their class.
local function fields(value, only_functions)
  local names, seen = {}, {}
  local function add(from)
    for key, member in pairs(from) do
      local is_name = type(key) == "string" and key:find "^%a[%w_]*$"
      if is_name and not seen[key] and (not only_functions or type(member) == "function") then
        seen[key] = true
        names[#names + 1] = key
      end
    end
  end
  -- Terms have no fields of interest; a plain table, which would do as a list, has.
  if type(value) == "table" and (getmetatable(value) == nil or not term.kind(value)) then add(value) end
  local class = getmetatable(value)
  if type(class) == "table" and type(class.__index) == "table" then add(class.__index) end
  return names
end

-- The value of `a.b.c`, without calling anything but __index functions of ours.
local function value_of(environment, path)
  local value = environment
  for name in path:gmatch "[%a_][%w_]*" do
    if type(value) ~= "table" and type(value) ~= "userdata" then return nil end
    value = value[name]
  end
  return value
end

local KEYWORDS = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not", "or",
  "repeat", "return", "then", "true", "until", "while",
}

local function lua_names(self, before)
  local path, separator, start = before:match "([%a_][%w_%.]*)([.:])([%w_]*)$"
  if path then
    local value = value_of(self.environment, path)
    if value == nil then return {}, start end
    return fields(value, separator == ":"), start
  end
  start = before:match "[%w_]*$"
  local names = fields(self.environment)
  for _, more in ipairs { KEYWORDS, fields(_G) } do table.move(more, 1, #more, #names + 1, names) end
  return names, start
end

-- Inside a string: a call's module, its function, or the name of an instruction.
local function in_string(self, before)
  local module, start = before:match "[:.]%a+%s*%(%s*[\"']([^\"']+)[\"']%s*,%s*[\"']([^\"']*)$"
  if module then return plain_names(functions(self, module)), start end
  start = before:match "[:.]%a+%s*%(%s*[\"']([^\"']*)$"
  if start then return plain_names(modules(self)), start end
  return instruction.names, before:match "[^\"']*$"
end

local function inside_string(before)
  local _, double = before:gsub('"', "")
  local _, single = before:gsub("'", "")
  return double % 2 == 1 or single % 2 == 1
end

--- What may follow.
-- @string before the line up to the cursor
-- @tparam integer from where the word begins that the matches are to replace
-- @treturn table a list of words
function complete:matches(before, from)
  local names, start
  if before:find "^%s*:" then
    names, start = erlang(self, before)
  elseif inside_string(before) then
    names, start = in_string(self, before)
  else
    names, start = lua_names(self, before)
  end
  -- What the line editor takes for the word may begin earlier than the name does: `node:ca`.
  local at = #before - #start + 1
  local prefix = from < at and before:sub(from, at - 1) or ""
  local found = matching(names, start, prefix)
  if from > at then
    for i, word in ipairs(found) do found[i] = word:sub(from - at + 1) end
  end
  local unique = {}
  for _, word in ipairs(found) do
    if unique[#unique] ~= word then unique[#unique + 1] = word end
  end
  return unique
end

return complete
