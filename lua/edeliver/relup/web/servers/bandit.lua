--- The kind of server that Phoenix 1.7 and later have with Bandit, on ThousandIsland.
--
-- Bandit's connections become websockets without leaving a mark that could be read from outside, so here a websocket is what
-- has a channel; one without counts among the http connections, and is left alone as those are. A Bandit that serves no
-- Phoenix endpoint is not detected.
--
-- @module edeliver.relup.web.servers.bandit

local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local ranch = require "edeliver.relup.web.listeners.ranch"
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
    return nil, ("no Bandit%s stands below a Phoenix endpoint of %s"):format(
      config.port and " on port " .. tostring(config.port) or config.listener and " of that ref" or "", name), "not_detected"
  end
  local words = {}
  for i, endpoint in ipairs(above) do words[i] = term.format(endpoint) end
  return setmetatable({
    node = node, kind = "the Phoenix endpoint " .. table.concat(words, ", ") .. " on Bandit",
    listeners = picked, endpoints = above,
  }, bandit_site)
end

--- See `edeliver.relup.web`: stopped acceptors, below whichever endpoint.
function bandit.traces(node, _, log)
  local all, message, code = endpoints.all(node)
  if not all then return nil, message, code end
  local names = {}
  for i, endpoint in ipairs(all) do names[i] = endpoint.name end
  local listeners
  listeners, message, code = servers(node, names)
  if not listeners then return nil, message, code end
  local looked
  looked, message, code = thousand_island.look_below(node, listeners)
  if not looked then return nil, message, code end
  local listening = {}
  for _, listener in ipairs(listeners) do
    if listener.listens then
      listening[#listening + 1] = listener
    else
      ranch.warn(listener, thousand_island.resume(listener), log)
    end
  end
  local pools
  pools, message, code = thousand_island.acceptors(node, listening)
  if not pools then return nil, message, code end
  return ranch.restarts(pools)
end

function bandit_site:missing_acceptors(refuse)
  return refuse and self:missing("way to refuse connections in this version of the server: leave config.refuse out",
    function(listener) return listener.can_refuse end)
    or self:missing("listener: it is suspended already (ThousandIsland.suspend)", function(one) return one.listens end)
    or self:missing("acceptors", function(listener) return #listener.acceptor_sups > 0 end)
end

function bandit_site:missing_connections()
  local missing = self:missing("connections supervisors", function(listener)
    return #listener.connection_sups > 0 and #listener.connection_sups == #listener.acceptor_sups
  end)
  if missing then return missing end
  local all, strangers = thousand_island.connections(self.node, self.listeners)
  if not all then return strangers end
  if strangers > 0 then return ("%s: %d connections are not Bandit's"):format(self:describe(), strangers) end
end

function bandit_site:acceptors() return thousand_island.acceptors(self.node, self.listeners) end

function bandit_site:acceptors_again()
  local looked, message, code = thousand_island.look_below(self.node, self.listeners)
  if not looked then return nil, message, code end
  return self:acceptors()
end

function bandit_site:reopening()
  local calls = {}
  for _, listener in ipairs(self.listeners) do
    if not listener.listens then calls[#calls + 1] = thousand_island.resume(listener) end
  end
  return calls
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

-- Bandit's connections are typed worker: the release handler asks them nothing.
function bandit_site:hide() return self ~= nil end
bandit_site.show = bandit_site.hide

return bandit
