--- The kind of server that Phoenix 1.4 to 1.8 has with Plug.Cowboy, and plain cowboy 2 listeners: cowboy 2 on ranch 1 or 2.
--
-- Chooses listeners among those that ranch has; reads nothing below them.
--
-- @module edeliver.relup.web.cowboy_on_ranch

local ranch = require "edeliver.relup.web.ranch"
local site = require "edeliver.relup.web.site"
local term = require "edeliver.relup.term"

local cowboy_on_ranch = {}

local function describe_all(listeners)
  local words = {}
  for i, listener in ipairs(listeners) do words[i] = ranch.describe(listener) end
  return #words > 0 and table.concat(words, ", ") or "none"
end

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
  local endpoints, seen = {}, {}
  for _, listener in ipairs(listeners) do
    if not listener.endpoint then return nil end
    if not seen[listener.endpoint] then
      seen[listener.endpoint] = true
      endpoints[#endpoints + 1] = listener.endpoint
    end
  end
  return endpoints
end

local function describe_kind(endpoints)
  if not endpoints then return "cowboy on ranch" end
  local words = {}
  for i, endpoint in ipairs(endpoints) do words[i] = term.format(endpoint) end
  return "the Phoenix endpoint " .. table.concat(words, ", ")
end

local function not_detected(node, name, listeners, what)
  if what then
    return nil, ("%s has no ranch listener %s; it has: %s"):format(node.name, what, describe_all(listeners)), "not_detected"
  end
  return nil, ("no ranch listener on %s stands below a Phoenix endpoint of %s; ranch has: %s. config.port or "
    .. "config.listener picks one of them"):format(node.name, name, describe_all(listeners)), "not_detected"
end

--- See `edeliver.relup.web`.
function cowboy_on_ranch.find(node, name, config)
  local listeners, message, code = ranch.listeners(node)
  if not listeners then return nil, message, code end
  local pick, what = picked_by(config)
  local chosen = filter(listeners, pick or function(listener) return listener.endpoint and listener.app == name end)
  if #chosen == 0 then return not_detected(node, name, listeners, what) end
  local endpoints = endpoints_of(chosen)
  return site.new { node = node, kind = describe_kind(endpoints), listeners = chosen, endpoints = endpoints }
end

return cowboy_on_ranch
