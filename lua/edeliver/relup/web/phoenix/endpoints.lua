--- Phoenix endpoints: which processes are one, told by what their module exports; and what their sockets allow their clients.
--
-- Knows no web server and no channels.
--
-- @module edeliver.relup.web.phoenix.endpoints

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local endpoints = {}

local FOUND = shape.list(shape.tuple(shape.atom, shape.atom))

--- The applications whose endpoints are meant: the one that is upgraded, and in an umbrella those of `config.applications`.
-- @string[opt] name
-- @tparam table config
-- @return a set: name = true
function endpoints.applications(name, config)
  local names = {}
  if name then names[name] = true end
  for _, other in ipairs(config.applications or {}) do names[term.kind(other) == "atom" and other.name or other] = true end
  return names
end

--- Every endpoint that runs on the node.
-- @return[1] a list of `{ name = atom, app = string }`
-- @return[2] nil, message, code
function endpoints.all(node)
  local answer, message, code = shape.expect(node, "which endpoints it has", FOUND, node:run("phoenix_endpoints"))
  if not answer then return nil, message, code end
  local found = {}
  for i, row in ipairs(answer) do found[i] = { name = row[1], app = shape.to_text(row[2]) } end
  return found
end

--- The endpoints of these applications.
-- @param node
-- @tparam table applications what `applications` gave
-- @return[1] a list of atoms
-- @return[2] nil, message, code
function endpoints.of(node, applications)
  local all, message, code = endpoints.all(node)
  if not all then return nil, message, code end
  local names = {}
  for _, endpoint in ipairs(all) do
    if applications[endpoint.app] then names[#names + 1] = endpoint.name end
  end
  return names
end

--- After how long a silence the endpoints close a websocket: the shortest that their sockets declare.
-- @return[1] ms, or nil where none is declared
-- @return[2] nil, message, code
function endpoints.idle_timeout(node, names)
  local answer, message, code = shape.expect(node, "after what time its sockets are closed", shape.list(),
    node:run("phoenix_idle_timeouts", { Endpoints = names }))
  if not answer then return nil, message, code end
  local shortest
  for _, value in ipairs(answer) do
    if math.type(value) == "integer" then shortest = math.min(shortest or value, value) end
  end
  return shortest
end

--- How many clients poll, on the whole node; they are left alone.
-- @return[1] a number
-- @return[2] nil, message, code
function endpoints.count_polls(node)
  return shape.expect(node, "how many clients poll", shape.integer, node:run("phoenix_long_polls"))
end

return endpoints
