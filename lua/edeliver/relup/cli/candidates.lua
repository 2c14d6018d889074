--- What a shell may offer for the word that is being typed, where only the world knows: nodes, environments, a node's versions
-- and listeners. Whatever is in the way, there is nothing to offer, and nothing is said.
--
-- @module edeliver.relup.cli.candidates

local connection_options = require "edeliver.relup.cli.connection_options"
local core = require "edeliver.relup.core"
local environments = require "edeliver.relup.cli.environments"
local journals = require "edeliver.relup.cli.journals"
local local_release = require "edeliver.relup.cli.local_release"
local output = require "edeliver.relup.cli.output"
local parser = require "edeliver.relup.cli.parser"
local relup = require "edeliver.relup"
local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local session = require "edeliver.relup.cli.session"
local term = require "edeliver.relup.term"

local candidates = {}

local PATIENCE = 500 -- ms, for epmd here and to connect to a node

-- Commands whose first argument is a version that the node has.
local TAKES_VERSION = {
  upgrade = true, downgrade = true, check = true, ["make-permanent"] = true, unpack = true, remove = true,
}
local NODES, VERSIONS, LISTENERS = { ["--node"] = true, ["--cluster"] = true }, { ["--to"] = true }, { ["--listener"] = true }

local function is_node(word) return word:find "^[^-@].*@" ~= nil end

-- Sorted, each once, and nothing that a shell could take for something else.
local function sorted(set)
  local list = {}
  for text in pairs(set) do
    if text:find "^[%w@._:+~'{},-]+$" then list[#list + 1] = text end
  end
  table.sort(list)
  return list
end

-- Those that epmd knows here, under this machine's name; those that something was done to; those of environments.
local function nodes()
  local found, host = {}, local_release.hostname()
  local text = core.epmd_names("127.0.0.1", nil, PATIENCE) or ""
  for name in text:gmatch "name (%S+) at port %d+\n" do
    if host then found[name .. "@" .. host:match "^[^.]+"] = true end
    if host and host:find(".", 1, true) then found[name .. "@" .. host] = true end
  end
  for _, row in ipairs(journals.list() or {}) do
    for _, name in ipairs(row.nodes or { row.node }) do found[name] = is_node(name) or nil end
  end
  for _, name in ipairs(environments.nodes()) do found[name] = true end
  return found
end

-- The node that the words are about, connected to as they say; nil where it cannot be had.
local function connect(words)
  local line = {}
  for i, word in ipairs(words) do
    local option = word:match "^(%-%-[%w-]+)"
    if i == 1 and word:find "^@." or is_node(word) and not (words[i - 1] or ""):find "^%-%-" then
      line[#line + 1] = word
    elseif option and connection_options.NAMES[option] then
      line[#line + 1] = word
      if not word:find("=", 1, true) then line[#line + 1] = words[i + 1] end
    end
  end
  line[#line + 1] = "releases"
  local args = parser.parse(line)
  if not args then return nil end
  args.output = output.new { json = true }
  args.output.note = function() end
  local options = session.options(args)
  if not options then return nil end
  options.timeout = PATIENCE
  return relup.connect(args.node, options)
end

local function versions(words)
  local found, node <close> = {}, connect(words)
  if not node then return found end
  for _, release in ipairs(release_handler.which_releases(node) or {}) do found[release.version] = true end
  -- "myapp-1.4.6.tar.gz": a name may have dashes, a version seldom begins with anything but a digit.
  for _, name in ipairs(release_folder.tarballs(node) or {}) do
    local version = name:match "%-(%d.*)%.tar%.gz$"
    if version then found[version] = true end
  end
  return found
end

local function listeners(words)
  local found, node <close> = {}, connect(words)
  if not node then return found end
  local ranch = require "edeliver.relup.web.listeners.ranch"
  for _, listener in ipairs(ranch.listeners(node) or {}) do found[term.text(listener.ref) or term.format(listener.ref)] = true end
  return found
end

-- The command among the words, and what was said of it besides options: nobody knows yet which of them take a value.
local function command_of(words)
  local known = {}
  for _, name in ipairs(parser.commands) do known[name] = true end
  for i, word in ipairs(words) do
    if known[word] then return word, i end
  end
end

local function has_node(words)
  for _, word in ipairs(words) do
    if is_node(word) or word:find "^@." or word:find "^%-%-release" then return true end
  end
  return false
end

local function kind_of(words)
  local current, before = #words, words[#words - 1]
  local command, at = command_of({ table.unpack(words, 1, current - 1) })
  if before and NODES[before] then return nodes end
  if before and LISTENERS[before] then return listeners end
  if before and VERSIONS[before] and (command == "rollback" or command == "rollout") then return versions end
  if words[current]:find "^%-" then return nil end
  if current == 1 then
    return function()
      local found = nodes()
      for _, name in ipairs(environments.names()) do found["@" .. name] = true end
      return found
    end
  end
  if not command then return nil end
  local on_node = parser.command(command).on_node or command == "history"
  if on_node and at == current - 1 and not has_node(words) then return nodes end
  -- Behind the command, or the node that follows it.
  local first = at + (before and is_node(before) and at == current - 2 and 1 or 0)
  if TAKES_VERSION[command] and first == current - 1 then return versions end
end

--- What may be offered.
-- @tparam table words of the command line behind the program's name; the last is the one that is being typed, "" where it is new
-- @treturn table a list of texts
function candidates.of(words)
  if #words == 0 then return {} end
  local kind = kind_of(words)
  if not kind then return {} end
  local asked, found = pcall(kind, { table.unpack(words, 1, #words - 1) })
  return asked and sorted(found) or {}
end

return candidates
