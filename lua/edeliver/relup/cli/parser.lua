--- The command line, as argparse knows it: one subparser a command.
--
-- People write `edeliver-relup NODE status`; the parser wants the command first, and is given it so. Runs nothing.
--
-- @module edeliver.relup.cli.parser

local argparse = require "argparse"
local connection_options = require "edeliver.relup.cli.connection_options"
local cookie = require "edeliver.relup.cli.cookie"
local local_release = require "edeliver.relup.cli.local_release"
local environments = require "edeliver.relup.cli.environments"
local version = require "edeliver.relup.version"

local parser = {}

--- The commands, in the order of the help. Each is a module of `edeliver.relup.cli.commands`.
parser.commands = {
  "deploy", "rollback", "rollout", "status", "ps", "sockets", "suspend", "resume", "stuck", "recover", "releases", "upload",
  "check", "upgrade", "downgrade", "make-permanent", "unpack", "remove", "call", "repl", "run", "plan", "show", "patch", "lint",
  "diff", "doctor", "history", "completion", "man",
}

--- A command's module.
function parser.command(name) return require("edeliver.relup.cli.commands." .. name:gsub("-", "_")) end

local DESCRIPTION = [[
Hot-upgrades live Erlang and Elixir nodes from outside, without dropping their websockets.]]

local EPILOG = ([[
Exit codes: 0 done, 1 refused by a check (nothing was changed), 2 failed and undone, 3 failed and something is still
suspended, 4 failed and the node restarted, 64 wrong usage.

The cookie comes from --cookie-file, --ask-cookie, the environment variable %s, --release (releases/COOKIE),
RELEASE_COOKIE or ~/.erlang.cookie.

Examples:
  edeliver-relup myapp@web1 status
  edeliver-relup myapp@web1 upgrade 1.4.6
  edeliver-relup upgrade --help]]):format(cookie.VARIABLE)

--- Converts an option that is a positive number.
function parser.positive(text)
  local number = tonumber(text)
  if not number or number <= 0 then return nil, ("%q is not a positive number"):format(text) end
  return number
end

--- Converts an option that is a port.
function parser.port(text)
  local number = math.tointeger(tonumber(text))
  if not number or number < 1 or number > 65535 then return nil, ("%q is not a port"):format(text) end
  return number
end

local function add_common_options(to, on_node)
  to:flag("--json", "One JSON document on stdout instead of text.")
  to:flag("--no-color", "No colours (NO_COLOR says the same).")
  to:flag("--verbose", "Errors with Erlang's stack traces.")
  if not on_node then return end
  to:flag("-y --yes", "Don't ask before changing anything on a node that is not local.")
  to:group("Options", table.unpack(to._options))
  connection_options.add(to, parser.port, parser.positive)
end

-- Arguments and what has to be said; the rest is "[options]". The node is said first, as people say it.
local function shorten_usage(sub, name, on_node)
  local usage = sub:get_usage():gsub("%s+", " "):gsub(" %[%-[^%]]*%]", "")
  local head = "edeliver-relup " .. name
  if on_node then
    usage = usage:gsub(" <node>", "", 1)
    head = "edeliver-relup NODE " .. name
  end
  local words = usage:sub(#("Usage: edeliver-relup " .. name) + 1)
  sub:usage(("Usage: %s [options]%s"):format(head, words))
end

local function add_help(to)
  to:add_help {
    action = function(_, _, _, _) error({ help = to:get_help() }, 0) end,
    description = "Show this help.",
  }
end

local function add_command(root, name)
  local command = parser.command(name)
  local sub = root:command(name, command.summary):add_help(false)
  sub:summary(command.summary)
  add_help(sub)
  if command.on_node then sub:argument("node", "The node, as it calls itself: myapp@web1."):argname "<node>" end
  if command.add_to_parser then command.add_to_parser(sub) end
  add_common_options(sub, command.on_node or command.may_connect)
  if command.description then sub:description(command.summary .. "\n\n" .. command.description) end
  local examples = {}
  for i, example in ipairs(command.examples or {}) do examples[i] = "  " .. example end
  if examples[1] then sub:epilog("Examples:\n" .. table.concat(examples, "\n")) end
  shorten_usage(sub, name, command.on_node)
end

--- Builds the parser.
-- @tparam[opt] string only the one command that it has to know: the others, and all that they use, are not loaded then
function parser.build(only)
  local root = argparse("edeliver-relup", DESCRIPTION, EPILOG):add_help(false)
  root:usage("Usage: edeliver-relup NODE COMMAND [options]\n       edeliver-relup @ENVIRONMENT COMMAND [options]\n"
    .. "       edeliver-relup COMMAND [options] FILE ...")
  add_help(root)
  root:flag("--version", "Show the version."):action(function() error({ help = "edeliver-relup " .. version }, 0) end)
  root:command_target "command"
  for _, name in ipairs(only and { only } or parser.commands) do add_command(root, name) end
  root.error = function(self, message) error({ usage = self:get_usage(), message = message }, 0) end
  return root
end

local function is_node(word) return word:find "^[^-].*@" ~= nil end

-- The command comes first, and behind it what people write before it. Which command that is, if any.
local function command_first(arguments)
  local names = {}
  for _, name in ipairs(parser.commands) do names[name] = true end
  for i, word in ipairs(arguments) do
    if names[word] then
      local ordered = { word }
      table.move(arguments, 1, i - 1, 2, ordered)
      return table.move(arguments, i + 1, #arguments, i + 1, ordered), word
    end
  end
  -- What follows a node and options is meant as a command: that is the one to complain of.
  for i, word in ipairs(arguments) do
    if not word:find "^%-" and not is_node(word) then return { table.unpack(arguments, i) } end
  end
  return arguments
end

-- The node, where nothing else was said but options.
local function node_alone(arguments)
  local node
  for _, word in ipairs(arguments) do
    if word == "--help" or word == "-h" or word == "--version" then return nil end
    if is_node(word) then node = word elseif not word:find "^%-" then return nil end
  end
  return node
end

-- A variable of a script that was not set gives an empty word, which means nothing anywhere.
local function empty_one(arguments)
  for name, value in pairs(arguments) do
    if value == "" then return (name:gsub("_", "-")) end
  end
  return nil
end

local function options_of(sub)
  local known = {}
  for _, option in ipairs(sub._options) do
    for _, alias in ipairs(option._aliases) do known[alias] = true end
  end
  return known
end

-- Puts what an environment of the configuration says in front of what the command line says, which wins.
local function with_environment(root, name, ordered, command)
  local sub, on_node = root._commands[1], command and parser.command(command).on_node
  local known = options_of(sub)
  local found, message = environments.find(name, known)
  if not found then return nil, message end
  local words, said = { ordered[1] }, false
  for i = 2, #ordered do said = said or is_node(ordered[i]) end
  if on_node and not said then
    if not found.node then
      return nil, ("@%s has %d nodes: name one of them before the command (%s)"):format(name, #found.nodes,
        table.concat(found.nodes, ", "))
    end
    words[2] = found.node
  end
  for _, node in ipairs(not on_node and known["--node"] and found.nodes or {}) do
    table.move({ "--node", node }, 1, 2, #words + 1, words)
  end
  table.move(found.words, 1, #found.words, #words + 1, words)
  return table.move(ordered, 2, #ordered, #words + 1, words)
end

local function release_in(arguments)
  for i, word in ipairs(arguments) do
    local path = word == "--release" and arguments[i + 1] or word:match "^%-%-release=(.*)$"
    if path and path ~= "" then return path end
  end
  return nil
end

-- With a release on this machine its node need not be said.
local function with_release(ordered, command)
  local path = command and parser.command(command).on_node and release_in(ordered)
  if not path then return ordered end
  -- The node is said before the command, or right behind it.
  for i = 2, #ordered do
    if is_node(ordered[i]) and ordered[i - 1] ~= "--release" then return ordered end
  end
  local node, message = local_release.node((path:gsub("(.)/+$", "%1")))
  if not node then return nil, message end
  return table.move(ordered, 2, #ordered, 3, { ordered[1], node })
end

--- Parses a command line.
-- @return[1] the arguments, with `command`
-- @return[2] nil, `{ help = text }` or `{ usage =, message = }`
function parser.parse(arguments)
  local environment = (arguments[1] or ""):match "^@(.+)$"
  if environment then arguments = { table.unpack(arguments, 2) } end
  local ordered, command = command_first(arguments)
  -- What stands behind a script is the script's own.
  if command == "run" and ordered[2] and not ordered[2]:find "^%-" then table.insert(ordered, 3, "--") end
  local root = parser.build(command)
  local node = not command and node_alone(arguments)
  if node then
    return nil, { usage = root:get_usage(), message = ("a command is required. `edeliver-relup %s status` shows the node, "
      .. "`edeliver-relup --help` all commands"):format(node) }
  end
  if environment and command then
    local message
    ordered, message = with_environment(root, environment, ordered, command)
    if not ordered then return nil, { usage = root._commands[1]:get_usage(), message = message } end
  end
  local said, why = with_release(ordered, command)
  if not said then return nil, { usage = root._commands[1]:get_usage(), message = why } end
  ordered = said
  local parsed, result = pcall(root.parse, root, ordered)
  local empty = parsed and empty_one(result)
  if empty then return nil, { usage = root:get_usage(), message = empty .. " is empty: is a variable not set?" } end
  if parsed then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result
end

return parser
