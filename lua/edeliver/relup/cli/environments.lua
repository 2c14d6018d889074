--- The configuration file: environments by name, each with a node and its options, for `@NAME` on the command line.
--
-- `edeliver-relup.lua` in the current folder, else `$XDG_CONFIG_HOME/edeliver-relup/config.lua` (`~/.config/...`). It is read
-- only where `@NAME` is said, is a table and no program (nothing can be called in it), and must not be writable by others.
--
-- @module edeliver.relup.cli.environments

local core = require "edeliver.relup.core"

local environments = {}

local LARGEST = 1 << 20 -- bytes
local INSTRUCTIONS = 1000000 -- of Lua's; a table of names takes some hundreds

--- What an environment may say, besides `node` and `nodes`: the options of the command line, with "_" for "-".
local function option_of(field) return "--" .. field:gsub("_", "-") end

local function candidates()
  local home = os.getenv "HOME"
  local config = os.getenv "XDG_CONFIG_HOME"
  if not config or config == "" then config = home and home .. "/.config" end
  return { "edeliver-relup.lua", config and config .. "/edeliver-relup/config.lua" }
end

local function text_of(path)
  local file <close>, message = core.open_plain(path)
  if not file then return nil, message end
  local about, problem = core.file_stat(file)
  if not about then return nil, problem end
  if not about.trusted then
    return nil, ("%s belongs to another user, or others can write it: it says where your cookie "
      .. "is sent. Make it yours, and chmod 644 it"):format(path)
  end
  if about.size > LARGEST then return nil, path .. " is too large for a configuration" end
  return file:read "a"
end

-- The value of a Lua table, without anything that it could call, and bounded in time.
local function evaluate(path, text)
  local chunk, message = load(text, "@" .. path, "t", {})
  if not chunk then return nil, message end
  local strings = getmetatable("").__index
  getmetatable("").__index = nil
  debug.sethook(function() error("it takes too long", 0) end, "", INSTRUCTIONS)
  local ran, value = pcall(chunk)
  debug.sethook()
  getmetatable("").__index = strings
  if not ran then return nil, ("%s: %s"):format(path, tostring(value)) end
  if type(value) ~= "table" then return nil, path .. " must return a table of environments" end
  return value
end

local function read()
  for _, path in ipairs(candidates()) do
    local there <close> = io.open(path, "rb")
    if there then
      local text, message = text_of(path)
      if not text then return nil, message end
      local value
      value, message = evaluate(path, text)
      if not value then return nil, message end
      return value, path
    end
  end
  return nil, ("there is neither %s"):format(table.concat(candidates(), " nor "))
end

local function names_in(all)
  local names = {}
  for name in pairs(all) do names[#names + 1] = "@" .. tostring(name) end
  table.sort(names)
  return table.concat(names, ", ")
end

-- Words of the command line for one option: none where the command does not know it.
local function words_for(field, value, known, words)
  local option = option_of(field)
  if not known[option] then return end
  if value == true then
    words[#words + 1] = option
  elseif type(value) == "table" then
    for _, one in ipairs(value) do table.move({ option, tostring(one) }, 1, 2, #words + 1, words) end
  elseif value ~= false then
    table.move({ option, tostring(value) }, 1, 2, #words + 1, words)
  end
end

-- All environments, or none where there is nothing that can be read.
local function all_of_them() return read() or {} end

--- The names of all environments; none where there is no file, or it cannot be used.
-- @treturn table without the "@"
function environments.names()
  local names = {}
  for name, one in pairs(all_of_them()) do
    if type(name) == "string" and type(one) == "table" then names[#names + 1] = name end
  end
  return names
end

--- The nodes of all environments, likewise.
function environments.nodes()
  local nodes = {}
  for _, one in pairs(all_of_them()) do
    local some = type(one) == "table" and (type(one.nodes) == "table" and one.nodes or { one.node }) or {}
    for _, node in ipairs(some) do
      if type(node) == "string" then nodes[#nodes + 1] = node end
    end
  end
  return nodes
end

--- What an environment says, as words that come before those of the command line, which win.
-- @string name without the "@"
-- @tparam table known set of the options that the command has: "--cookie-file"
-- @return[1] `{ node = string or nil, nodes = list, words = list }`
-- @return[2] nil, message
function environments.find(name, known)
  local all, path = read()
  if not all then return nil, ("@%s is an environment of a configuration file, and %s"):format(name, path) end
  local found = all[name]
  if type(found) ~= "table" then return nil, ("%s has no environment %s: it has %s"):format(path, name, names_in(all)) end
  local fields, words = {}, {}
  for field in pairs(found) do fields[#fields + 1] = field end
  table.sort(fields, function(a, b) return tostring(a) < tostring(b) end)
  for _, field in ipairs(fields) do
    if type(field) ~= "string" then return nil, ("%s: the environment %s has a field without a name"):format(path, name) end
    if field ~= "node" and field ~= "nodes" then words_for(field, found[field], known, words) end
  end
  local nodes = type(found.nodes) == "table" and found.nodes or { found.node }
  return { node = nodes[1] and #nodes == 1 and nodes[1] or nil, nodes = nodes, words = words }
end

return environments
