--- Which nodes a rollout is for: those that are named, those of a file with a line a node, or a node's cluster.
--
-- @module edeliver.relup.cli.node_list

local connection_options = require "edeliver.relup.cli.connection_options"
local core = require "edeliver.relup.core"
local relup = require "edeliver.relup"
local session = require "edeliver.relup.cli.session"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local node_list = {}

-- "myapp@web1 address=10.0.0.1 epmd_port=4370 tls_ca=ca.pem"
local function of_line(line, where)
  local name, rest = line:match "^(%S+)(.*)$"
  if not name:find ".@." then return nil, ("%s: %q is no node's name"):format(where, name), "badarg" end
  local node, word = connection_options.of_words(rest)
  if not node then return nil, ("%s: %q is none of %s"):format(where, word, connection_options.WORDS), "badarg" end
  node.name = name
  return node
end

local function of_file(path, nodes)
  local file <close>, message = core.open_plain(path)
  if not file then return nil, message, "system" end
  local number = 0
  for line in file:lines() do
    number = number + 1
    line = line:gsub("#.*$", ""):match "^%s*(.-)%s*$"
    if line ~= "" then
      local node, problem, code = of_line(line, ("%s, line %d"):format(path, number))
      if not node then return nil, problem, code end
      nodes[#nodes + 1] = node
    end
  end
  return true
end

-- A node and those that it is connected to.
local function of_cluster(name, options, nodes)
  local node <close>, message, code = relup.connect(name, options)
  if not node then return nil, message, code end
  local members
  members, message, code = shape.expect(node, "nodes", shape.list(shape.atom), node:call("erlang", "nodes"))
  if not members then return nil, message, code end
  nodes[#nodes + 1] = { name = node.name }
  for _, member in ipairs(members) do nodes[#nodes + 1] = { name = term.text(member) } end
  return true
end

--- Finds them.
-- @tparam table args of the command line: `nodes` (names), `nodes_file`, `cluster`
-- @return[1] a list of `{ name =, options of connect }`; and the options of connect for all of them
-- @return[2] nil, message, code
function node_list.find(args)
  local options, message, code = session.options(args)
  if not options then return nil, message, code end
  local nodes = {}
  for _, name in ipairs(args.nodes) do nodes[#nodes + 1] = { name = name } end
  local found = true
  if args.nodes_file then found, message, code = of_file(args.nodes_file, nodes) end
  if found and args.cluster then found, message, code = of_cluster(args.cluster, options, nodes) end
  if not found then return nil, message, code end
  if #nodes == 0 then return nil, "Which nodes? Name them with --node, --nodes-file or --cluster", "badarg" end
  return nodes, options
end

return node_list
