--- Sites of cowboy 1, as Phoenix up to 1.3 has it. Its websockets answer no sys messages, so only their channels can be
-- suspended; those are in no supervisor, but linked to their websocket, which they name as their ancestor.
--
-- @classmod edeliver.relup.web.servers.cowboy_1

local shape = require "edeliver.relup.node.shape"
local site = require "edeliver.relup.web.site"
local ranch = require "edeliver.relup.web.listeners.ranch"

local cowboy_1 = site.extend()

local TIMEOUT = 30000 -- ms
local PIDS = shape.list(shape.pid)

--- As for other sites; and what is missing is never the protocol.
function cowboy_1:missing_connections()
  return self:missing("connections supervisor", function(listener)
    return listener.connection_sups and #listener.connection_sups > 0
  end)
end

--- As for other sites.
function cowboy_1:connections()
  local http, all, why = self:candidates()
  if not http then return nil, all, why end
  local none = self.node:pids {}
  if not self.endpoints or #all == 0 then return { http = http, websockets = all, idle = none, channels = none } end
  local bindings = { Pids = all, Sups = self:connection_supervisors() }
  local answer, message, code = shape.expect(self.node, "which channels its websockets have", shape.tuple(PIDS, PIDS),
    self.node:run("cowboy_1_channels", bindings, TIMEOUT))
  if not answer then return nil, message, code end
  local idle = self.node:pids(answer[2])
  return { http = http, websockets = all:minus(idle), idle = idle, channels = self.node:pids(answer[1]) }
end

--- Only channels can be had, by that name or by "auto".
function cowboy_1:target(target)
  local known, message, code = site.target(self, target)
  if not known then return nil, message, code end
  if target == "channels" or target == "auto" and self.endpoints then return "channels" end
  return nil, ("%s: the websockets of cowboy 1 answer no sys messages, so they cannot be suspended. config.target = \"channels\" "
    .. "suspends the channels of Phoenix behind them"):format(self:describe()), "not_supported"
end

--- The channels that are not known already.
function cowboy_1:new_targets(_, known)
  local found, message, code = self:connections()
  if not found then return nil, message, code end
  return found.channels:minus(known)
end

--- The connections that run a request now.
function cowboy_1:requests()
  local http, message, code = ranch.connections(self.node, self.listeners)
  if not http then return nil, message, code end
  if #http == 0 then return http end
  local answer
  answer, message, code = shape.expect(self.node, "which requests run", PIDS,
    self.node:run("cowboy_1_requests", { Pids = http }, TIMEOUT))
  if not answer then return nil, message, code end
  return self.node:pids(answer)
end

--- Nothing has to be hidden: what is suspended is in no supervisor.
function cowboy_1:hide() return self ~= nil end
cowboy_1.show = cowboy_1.hide

return cowboy_1
