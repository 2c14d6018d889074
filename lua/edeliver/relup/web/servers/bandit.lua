--- The kind of server that Phoenix 1.7 and later have with Bandit, on ThousandIsland.
--
-- Bandit's connections become websockets without leaving a mark that could be read from outside, so here a websocket is what
-- has a channel; one without counts among the http connections, and is left alone as those are. A Bandit that serves no
-- Phoenix endpoint is not detected.
--
-- @module edeliver.relup.web.servers.bandit

local count = require "edeliver.relup.base.count"
local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local kinds = require "edeliver.relup.web.listeners"
local shape = require "edeliver.relup.node.shape"
local site = require "edeliver.relup.web.site"
local term = require "edeliver.relup.term"
local thousand_island = require "edeliver.relup.web.listeners.thousand_island"

local bandit = {}
local bandit_site = site.extend()

local FOUND = shape.list(shape.tuple(shape.any, shape.pid, shape.atom))

local function servers(node, names)
  local answer, message, code = shape.expect(node, "which servers its endpoints have", FOUND,
    node:run("bandit_servers", { Endpoints = names }))
  if not answer then return nil, message, code end
  local found = {}
  for i, row in ipairs(answer) do found[i] = { ref = row[1], pid = row[2], endpoint = row[3] } end
  return found
end

local function is_picked(listener, config)
  if config.listener ~= nil then return term.equal(listener.ref, config.listener) end
  return config.port == nil or listener.port == config.port
end

-- The listeners that are meant, and the endpoints above them.
local function pick(listeners, config)
  local picked, names, seen = {}, {}, {}
  for _, listener in ipairs(listeners) do
    if is_picked(listener, config) then
      picked[#picked + 1] = listener
      if not seen[listener.endpoint] then
        seen[listener.endpoint] = true
        names[#names + 1] = listener.endpoint
      end
    end
  end
  return picked, names
end

--- See `edeliver.relup.web`.
function bandit.find(node, name, config)
  local names, message, code = endpoints.of(node, endpoints.applications(name, config))
  if not names then return nil, message, code end
  local listeners
  listeners, message, code = servers(node, names)
  if not listeners then return nil, message, code end
  local looked
  looked, message, code = thousand_island.look_below(node, listeners)
  if not looked then return nil, message, code end
  local picked, above = pick(listeners, config)
  if #picked == 0 then
    return nil, ("no Phoenix endpoint%s has a Bandit%s"):format(name and " of " .. name or "",
      config.port and " on port " .. tostring(config.port) or config.listener and " of that ref" or ""), "not_detected"
  end
  local words = {}
  for i, endpoint in ipairs(above) do words[i] = term.format(endpoint) end
  return setmetatable({
    node = node, kind = "the Phoenix endpoint " .. table.concat(words, ", ") .. " on Bandit",
    listeners = picked, endpoints = above,
  }, bandit_site)
end

--- See `edeliver.relup.web`: stopped acceptors, below every endpoint.
function bandit.traces(node, _, log)
  local all, message, code = endpoints.all(node)
  if not all then return nil, message, code end
  local names = {}
  for i, endpoint in ipairs(all) do names[i] = endpoint.name end
  local listeners
  listeners, message, code = servers(node, names)
  if not listeners then return nil, message, code end
  return kinds.traces(thousand_island, node, listeners, log)
end

-- The site -----------------------------------------------------------------------------------------------------------

bandit_site.listening = thousand_island

function bandit_site:missing_acceptors(refuse)
  return site.missing_acceptors(self, refuse)
    or self:missing("acceptors", function(listener) return #listener.acceptor_sups > 0 end)
end

function bandit_site:missing_connections()
  local missing = self:missing("connections supervisors", function(listener)
    return #listener.connection_sups > 0 and #listener.connection_sups == #listener.acceptor_sups
  end)
  if missing then return missing end
  local all, strangers = thousand_island.connections(self.node, self.listeners)
  if not all then return strangers end
  if strangers > 0 then
    return ("%s: %s not Bandit's"):format(self:describe(), count.of(strangers, "connection is", "connections are"))
  end
end

function bandit_site:candidates()
  local all, message, code = thousand_island.connections(self.node, self.listeners)
  if not all then return nil, message, code end
  return self.node:pids {}, all
end

function bandit_site:connections()
  local found, message, code = site.connections(self)
  if not found then return nil, message, code end
  found.http, found.idle = found.idle, found.http
  return found
end

function bandit_site:requests()
  local found, message, code = self:connections()
  if not found then return nil, message, code end
  return thousand_island.requests(self.node, found.http)
end

return bandit
