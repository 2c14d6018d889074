--- What was found of an application's web server: its listeners, and the questions that instructions ask of them.
--
-- Made by `web.find`. A site keeps who supervises what; acceptors, connections and channels are looked up each time anew,
-- since they come and go. This is what the sites of all servers have in common: a server's own adds `listening`, the kind of its
-- listeners (see `edeliver.relup.web.listeners`), `candidates`, `requests` and `missing_connections`. Knows no server.
--
-- @classmod edeliver.relup.web.site

local channels = require "edeliver.relup.web.phoenix.channels"
local listeners = require "edeliver.relup.web.listeners"

local site = {}
site.__index = site
site.__name = "edeliver.relup.web.site"

--- A class that starts with the methods of another one.
-- @tparam[opt=site] table base
function site.extend(base)
  local class = setmetatable({}, { __index = base or site })
  class.__index, class.__name, class.__tostring = class, site.__name, function(self) return self:describe() end
  return class
end

--- The site in words: "the endpoint 'Elixir.Chat.Endpoint': 'Elixir.Chat.Endpoint.HTTP' (port 4000)".
function site:describe() return ("%s: %s"):format(self.kind, listeners.describe_all(self.listeners)) end

-- What is missing ----------------------------------------------------------------------------------------------------

-- The first listener that lacks a piece, in words.
function site:missing(what, has)
  for _, listener in ipairs(self.listeners) do
    if not has(listener) then return ("%s has no %s"):format(listeners.describe(listener), what) end
  end
end

--- What of the acceptors cannot be found, in words; nil where all is there.
-- @tparam[opt] boolean refuse whether listeners are to be suspended as a whole
function site:missing_acceptors(refuse)
  return refuse and self:missing("way to refuse connections in this version of the server: leave config.refuse out",
    function(listener) return listener.can_refuse end)
    or self:missing(self.listening.not_accepting, function(listener) return listener.accepts end)
end

--- What of the connections cannot be found, or is not understood; nil where all is there.
-- @function site:missing_connections

-- Acceptors ----------------------------------------------------------------------------------------------------------

--- The acceptors as they are now; see `web.listeners.ranch.acceptors`.
function site:acceptors() return self.listening.acceptors(self.node, self.listeners) end

--- The same, after something has been done to them: the acceptors' supervisors themselves may have changed.
function site:acceptors_again()
  local looked, message, code = self.listening.look_below(self.node, self.listeners)
  if not looked then return nil, message, code end
  return self:acceptors()
end

--- The calls that let listeners listen again that were suspended as a whole, and their acceptors run.
function site:reopening()
  local calls = {}
  for _, listener in ipairs(self.listeners) do
    if not listener.accepts then calls[#calls + 1] = self.listening.resume(listener) end
  end
  return calls
end

-- Connections --------------------------------------------------------------------------------------------------------

--- What can be told of the connections without looking for channels.
-- @function site:candidates
-- @return[1] the pid set of those that are http for certain
-- @return[1] the pid set of those that may be websockets
-- @return[2] nil, message, code

--- The plain http requests that run now.
-- @function site:requests
-- @return[1] a pid set of the processes that run them
-- @return[2] nil, message, code

--- All channels; none where every websocket counts.
-- @return[1] a pid set
-- @return[2] nil, message, code
function site:channels()
  if not self.endpoints then return self.node:pids {} end
  return channels.find(self.node, self.endpoints)
end

--- Splits websockets into those that count and those that don't: at an endpoint, those without a channel.
-- @return[1] the pid set of those that count
-- @return[1] the pid set of those that don't
-- @return[1] the pid set of all channels
-- @return[2] nil, message, code
function site:split(websockets)
  local found, message, code = self:channels()
  if not found then return nil, message, code end
  if not self.endpoints then return websockets, found, found end
  local with, without, problem = channels.of(self.node, websockets, found)
  if not with then return nil, without, problem end
  return with, without, found
end

--- The connections as they are now.
-- @return[1] `{ websockets =, http =, idle =, channels = }`: pid sets of the websockets that count, of the http connections, of
-- the websockets without any channel, which at an endpoint are left alone, and of the channels
-- @return[2] nil, message, code
function site:connections()
  local http, all, why = self:candidates()
  if not http then return nil, all, why end
  local with, without, found = self:split(all)
  if not with then return nil, without, found end
  return { http = http, websockets = with, idle = without, channels = found }
end

-- What to suspend ----------------------------------------------------------------------------------------------------

-- The websockets that count and are not among those known already: nothing is asked about those again.
local function new_websockets(self, known)
  local http, all, why = self:candidates()
  if not http then return nil, all, why end
  local new = all:minus(known)
  if #new == 0 then return new end
  local with, without, problem = self:split(new)
  if not with then return nil, without, problem end
  return with
end

local function new_channels(self, known)
  local found, message, code = self:channels()
  if not found then return nil, message, code end
  return found:minus(known)
end

local function nobody(self) return self.node:pids {} end

local TARGETS = { transports = new_websockets, channels = new_channels, auto = new_websockets, none = nobody }

--- Whether a target can be had here. A server whose websockets answer no sys messages says so in `deaf`, in words.
-- @string[opt="transports"] target "transports", the websockets; "channels", the channels behind them; or "auto": transports,
-- where those answer sys messages, and else channels; "none": nobody is suspended at all
-- @return[1] what it comes to: "transports", "channels" or "none"
-- @return[2] nil, message, code
function site:target(target)
  target = target or "transports"
  if not TARGETS[target] then
    return nil, ('config.target is "transports", "channels", "auto" or "none", not %q'):format(tostring(target)), "badarg"
  end
  if target == "auto" then target = self.deaf and self.endpoints and "channels" or "transports" end
  if target == "channels" and not self.endpoints then
    return nil, ("%s: there are no channels below a listener without a Phoenix endpoint, only transports"):format(
      self:describe()), "not_detected"
  elseif target == "transports" and self.deaf then
    return nil, ("%s: %s"):format(self:describe(), self.deaf), "not_supported"
  end
  return target
end

--- What to suspend, besides what is known already.
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

--- Makes it safe to install a release while websockets are suspended: they must not be where the release handler looks for
-- supervisors. Most servers have nothing to hide.
-- @function site:hide
-- @param ctx remembers how to take it back, under the key "connection types"
-- @return[1] true
-- @return[2] nil, message, code
function site.hide() return true end

--- Takes that back, where nothing is remembered.
-- @function site:show
-- @return[1] true
-- @return[2] nil, message, code
function site.show() return true end

site.__tostring = site.describe

return site
