--- The kind of server that Phoenix has with cowboy, and plain cowboy listeners: cowboy 1 and 2 on ranch 1 or 2.
--
-- Chooses listeners among those that ranch has, and the class of site that understands their connections.
--
-- @module edeliver.relup.web.servers.cowboy_on_ranch

local cowboy = require "edeliver.relup.web.servers.cowboy"
local cowboy_1 = require "edeliver.relup.web.servers.cowboy_1"
local cowboy_2 = require "edeliver.relup.web.servers.cowboy_2"
local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local kinds = require "edeliver.relup.web.listeners"
local ranch = require "edeliver.relup.web.listeners.ranch"
local supervised = require "edeliver.relup.web.servers.supervised"
local term = require "edeliver.relup.term"
local union = require "edeliver.relup.web.union"

local cowboy_on_ranch = {}

local function is_ref(listener, wanted)
  if type(wanted) == "string" and listener.ref == term.atom(wanted) then return true end
  return term.equal(listener.ref, wanted)
end

-- How the configuration picks listeners: a predicate, and what it looks for in words. Nil where it picks none.
local function picked_by(config)
  if config.listener ~= nil then
    local wanted = type(config.listener) == "string" and term.atom(config.listener) or config.listener
    return function(listener) return is_ref(listener, config.listener) end, "with the ref " .. term.format(wanted)
  elseif config.port ~= nil then
    return function(listener) return listener.port == config.port end, ("on port %s"):format(tostring(config.port))
  end
end

local function filter(listeners, wanted)
  local found = {}
  for _, listener in ipairs(listeners) do
    if wanted(listener) then found[#found + 1] = listener end
  end
  return found
end

-- The different endpoints above listeners; nil unless each listener has one.
local function endpoints_of(listeners)
  local above, seen = {}, {}
  for _, listener in ipairs(listeners) do
    if not listener.endpoint then return nil end
    if not seen[listener.endpoint] then
      seen[listener.endpoint] = true
      above[#above + 1] = listener.endpoint
    end
  end
  return above
end

-- What a listener's connections are understood by.
local function class_of(listener)
  if listener.protocol == "cowboy_protocol" then return cowboy_1 end
  if listener.typed_supervisor and not cowboy.protocols[listener.protocol] then return supervised end
  return cowboy_2
end

-- The listeners by class: `{ class =, listeners = }`, in order.
local function groups(listeners)
  local found, by_class = {}, {}
  for _, listener in ipairs(listeners) do
    local class = class_of(listener)
    if not by_class[class] then
      by_class[class] = { class = class, listeners = {} }
      found[#found + 1] = by_class[class]
    end
    table.insert(by_class[class].listeners, listener)
  end
  return found
end

local function describe_kind(above)
  if not above then return "cowboy on ranch" end
  local words = {}
  for i, endpoint in ipairs(above) do words[i] = term.format(endpoint) end
  return "the Phoenix endpoint " .. table.concat(words, ", ")
end

local function not_detected(node, name, listeners, what)
  local has = #listeners > 0 and kinds.describe_all(listeners) or "none"
  if what then return nil, ("%s has no ranch listener %s; it has: %s"):format(node.name, what, has), "not_detected" end
  return nil, ("no Phoenix endpoint%s on %s has a ranch listener; ranch has: %s. config.port or config.listener picks one of "
    .. "them"):format(name and " of " .. name or "", node.name, has), "not_detected"
end

--- See `edeliver.relup.web`.
function cowboy_on_ranch.find(node, name, config)
  local listeners, message, code = ranch.listeners(node)
  if not listeners then return nil, message, code end
  local pick, what = picked_by(config)
  local applications = endpoints.applications(name, config)
  local chosen = filter(listeners, pick or function(listener) return listener.endpoint and applications[listener.app] end)
  if #chosen == 0 then return not_detected(node, name, listeners, what) end
  local looked
  looked, message, code = ranch.look_below(node, chosen)
  if not looked then return nil, message, code end
  local sites = {}
  for _, group in ipairs(groups(chosen)) do
    local above = endpoints_of(group.listeners)
    sites[#sites + 1] = setmetatable(
      { node = node, kind = describe_kind(above), listeners = group.listeners, endpoints = above }, group.class)
  end
  return union.as_one(node, sites)
end

-- Connections that were hidden from the release handler, and are still.
local function showing(node, listeners)
  local undos = {}
  for _, listener in ipairs(listeners) do
    if listener.typed_supervisor and listener.connection_sups then
      local hidden, message, code = cowboy.hidden(node, listener.connection_sups)
      if not hidden then return nil, message, code end
      if #hidden > 0 then
        local act = cowboy.hiding(node, hidden)
        undos[#undos + 1] = { key = "the type of the connections of " .. kinds.describe(listener), undo = act.undo }
      end
    end
  end
  return undos
end

--- See `edeliver.relup.web`: stopped acceptors, and, where somebody is suspended, hidden connections.
function cowboy_on_ranch.traces(node, anybody_suspended, log)
  local listeners, message, code = ranch.listeners(node)
  if not listeners then
    if code == "not_detected" then return {} end
    return nil, message, code
  end
  local restarts
  restarts, message, code = kinds.traces(ranch, node, listeners, log)
  if not restarts then return nil, message, code end
  local undos = {}
  if anybody_suspended then undos, message, code = showing(node, listeners) end
  if not undos then return nil, message, code end
  return table.move(restarts, 1, #restarts, #undos + 1, undos)
end

return cowboy_on_ranch
