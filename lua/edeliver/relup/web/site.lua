--- What was found of an application's web server: its listeners, and the questions that instructions ask of them.
--
-- Made by `web.find`. A site keeps who supervises what; acceptors, connections and channels are looked up each time anew,
-- since they come and go. This one is for cowboy 2 on ranch; another server extends it by what it does differently.
--
-- @classmod edeliver.relup.web.site

local channels = require "edeliver.relup.web.phoenix.channels"
local cowboy = require "edeliver.relup.web.servers.cowboy"
local ranch = require "edeliver.relup.web.listeners.ranch"

local site = {}
site.__index = site
site.__name = "edeliver.relup.web.site"

--- A site.
-- @tparam table fields `node`, `kind` (in words), `listeners` (of web.ranch), and `endpoints`: the names of Phoenix endpoints,
-- whose websockets count where they have channels, or nil where every websocket counts
-- @return[1] site
-- @return[2] nil, message, code
function site.new(fields)
  local self = setmetatable(fields, site)
  local looked, message, code = ranch.look_below(self.node, self.listeners)
  if not looked then return nil, message, code end
  return self
end

--- A class that starts with the methods of this one.
function site.extend()
  local class = setmetatable({}, { __index = site })
  class.__index, class.__name, class.__tostring = class, site.__name, function(self) return self:describe() end
  return class
end

--- The site in words: "the endpoint 'Elixir.Chat.Endpoint': 'Elixir.Chat.Endpoint.HTTP' (port 4000)".
function site:describe()
  local words = {}
  for i, listener in ipairs(self.listeners) do words[i] = ranch.describe(listener) end
  return ("%s: %s"):format(self.kind, table.concat(words, ", "))
end

-- The first listener that lacks a piece, in words.
function site:missing(what, has)
  for _, listener in ipairs(self.listeners) do
    if not has(listener) then return ("%s has no %s"):format(ranch.describe(listener), what) end
  end
end

--- What of the acceptors cannot be found, in words; nil where all is there.
-- @tparam[opt] boolean refuse whether listeners are to be suspended as a whole
function site:missing_acceptors(refuse)
  return refuse and self:missing("way to refuse connections in this version of the server: leave config.refuse out",
    function(listener) return listener.can_refuse end)
    or self:missing("acceptors supervisor: it is suspended already (ranch:suspend_listener), or of an unknown kind",
    function(listener) return listener.acceptors_sup end)
end

--- What of the connections cannot be found, or is not understood; nil where all is there.
function site:missing_connections()
  local missing = self:missing("connections supervisor", function(listener)
    return listener.connection_sups and #listener.connection_sups > 0
  end)
  if missing then return missing end
  for _, listener in ipairs(self.listeners) do
    if not cowboy.protocols[listener.protocol] then
      return ("%s speaks %s: only the connections of cowboy 2 (cowboy_clear, cowboy_tls) are understood there"):format(
        ranch.describe(listener), listener.protocol)
    end
  end
end

--- The acceptors as they are now; see `web.listeners.ranch.acceptors`.
function site:acceptors() return ranch.acceptors(self.node, self.listeners) end

--- The same, after something has been done to them: the acceptors' supervisors themselves may have changed.
function site:acceptors_again()
  local looked, message, code = ranch.look_below(self.node, self.listeners)
  if not looked then return nil, message, code end
  return self:acceptors()
end

--- The calls that let listeners listen again that were suspended as a whole, and their acceptors run.
function site:reopening()
  local calls = {}
  for _, listener in ipairs(self.listeners) do
    if not listener.acceptors_sup then calls[#calls + 1] = ranch.resume(listener) end
  end
  return calls
end

--- Who supervises the connections; of all listeners, or only of those whose connections are typed `supervisor`.
function site:connection_supervisors(typed_supervisor)
  local sups = {}
  for _, listener in ipairs(self.listeners) do
    if listener.typed_supervisor or not typed_supervisor then
      for _, pid in ipairs(listener.connection_sups or {}) do sups[#sups + 1] = pid end
    end
  end
  return sups
end

--- What can be told of the connections without looking for channels.
-- @return[1] the pid set of those that are http for certain
-- @return[1] the pid set of those that may be websockets, by ranch's books all that are
-- @return[2] nil, message, code
function site:candidates() return ranch.connections(self.node, self.listeners) end

-- The channels of the endpoints; there are none where every websocket counts.
local function find_channels(self)
  if not self.endpoints then return self.node:pids {} end
  return channels.find(self.node, self.endpoints)
end

-- Splits websockets into those that count and those that don't.
local function split(self, websockets, found)
  if not self.endpoints then return websockets, self.node:pids {} end
  return channels.of(self.node, websockets, found)
end

--- The connections as they are now.
-- @return[1] `{ websockets =, http =, idle =, channels = }`: pid sets of the websockets that count, of the http connections, of
-- the websockets without any channel, which at an endpoint are left alone, and of the channels
-- @return[2] nil, message, code
function site:connections()
  local http, all, why = self:candidates()
  if not http then return nil, all, why end
  local found, message, code = find_channels(self)
  if not found then return nil, message, code end
  local with, without, problem = split(self, all, found)
  if not with then return nil, without, problem end
  return { http = http, websockets = with, idle = without, channels = found }
end

-- The websockets that count and are not among those known already: nothing is asked about those again.
local function new_websockets(self, known)
  local http, all, why = self:candidates()
  if not http then return nil, all, why end
  local new = all:minus(known)
  if #new == 0 then return new end
  local found, message, code = find_channels(self)
  if not found then return nil, message, code end
  local with, without, problem = split(self, new, found)
  if not with then return nil, without, problem end
  return with
end

local function new_channels(self, known)
  local found, message, code = find_channels(self)
  if not found then return nil, message, code end
  return found:minus(known)
end

local TARGETS = { transports = new_websockets, channels = new_channels, auto = new_websockets }

--- Whether a target can be had here.
-- @string[opt="transports"] target "transports", the websockets; "channels", the channels behind them; or "auto": here
-- transports, since those of cowboy 2 answer sys messages
-- @return[1] what it comes to: "transports" or "channels"
-- @return[2] nil, message, code
function site:target(target)
  target = target or "transports"
  if not TARGETS[target] then
    return nil, ('config.target is "transports", "channels" or "auto", not %q'):format(tostring(target)), "badarg"
  end
  if target == "channels" and not self.endpoints then
    return nil, ("%s: below a listener without a Phoenix endpoint there are no channels, only transports"):format(
      self:describe()), "not_detected"
  end
  return target == "channels" and "channels" or "transports"
end

--- Whom to suspend, besides those who are known already.
-- @string target what `target` gave
-- @param known a pid set
-- @return[1] a pid set
-- @return[2] nil, message, code
function site:new_targets(target, known) return TARGETS[target](self, known) end

--- All of a target, as it is now.
-- @string[opt="transports"] target as `target` takes it
-- @return[1] a pid set
-- @return[2] nil, message, code
function site:targets(target)
  local chosen, message, code = self:target(target)
  if not chosen then return nil, message, code end
  return self:new_targets(chosen, self.node:pids {})
end

--- The plain http requests that run now; see `web.servers.cowboy.requests`.
function site:requests()
  local http, message, code = self:candidates()
  if not http then return nil, message, code end
  return cowboy.requests(self.node, http, self:connection_supervisors())
end

-- What hides connections that are typed `supervisor`; nil where there are none.
local function hiding(self)
  local sups = self:connection_supervisors(true)
  if #sups == 0 then return nil end
  return cowboy.hiding(self.node, sups)
end

--- Makes it safe to install a release while websockets sit suspended: they must not be where the release handler looks for
-- supervisors. See `web.servers.cowboy`.
-- @param ctx remembers how to take it back, under the key "connection types"
-- @return[1] true
-- @return[2] nil, message, code
function site:hide(ctx)
  local act = hiding(self)
  if act then
    local done, message, code = ctx:apply("connection types", { act })
    if not done then return nil, message, code end
    if ctx.dry_run then
      ctx.would_hide = true
      return true
    end
    ctx:log("info", ("%s: ranch calls its connections workers until they are resumed, for the release handler's sake"):format(
      self:describe()))
  end
  local visible, message, code = cowboy.count_visible(self.node, self:connection_supervisors())
  if not visible then return nil, message, code end
  if visible == 0 then return true end
  return nil, ("%s: %d connections are typed supervisor, and stay so; suspended ones would make install_release fail past the "
    .. "point of no return, and the node restart. connection_type => worker in the listener's transport options helps, or "
    .. 'config.target = "channels"'):format(self:describe(), visible), "refused"
end

--- Takes that back, where nothing is remembered.
-- @return[1] true
-- @return[2] nil, message, code
function site:show()
  local act = hiding(self)
  if not act then return true end
  local done, message, code = self.node:call(table.unpack(act.undo))
  if done == nil then return nil, message, code end
  return true
end

site.__tostring = site.describe

return site
