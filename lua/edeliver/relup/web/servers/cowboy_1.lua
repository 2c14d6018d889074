--- Sites of cowboy 1, as Phoenix up to 1.3 has it. Its websockets answer no sys messages, so only their channels can be
-- suspended; those are in no supervisor, but linked to their websocket, which they name as their ancestor.
--
-- @classmod edeliver.relup.web.servers.cowboy_1

local on_ranch = require "edeliver.relup.web.servers.on_ranch"
local shape = require "edeliver.relup.node.shape"
local site = require "edeliver.relup.web.site"

local cowboy_1 = site.extend(on_ranch)

local TIMEOUT = 30000 -- ms
local PIDS = shape.list(shape.pid)

cowboy_1.deaf = 'websockets of cowboy 1 answer no sys messages and cannot be suspended. config.target = "channels" suspends the '
  .. "channels of Phoenix behind them"

--- As for other sites.
function cowboy_1:split(websockets)
  local none = self.node:pids {}
  if not self.endpoints or #websockets == 0 then return websockets, none, none end
  local bindings = { Pids = websockets, Sups = self:connection_supervisors() }
  local answer, message, code = shape.expect(self.node, "which channels its websockets have", shape.tuple(PIDS, PIDS),
    self.node:run("cowboy_1_channels", bindings, TIMEOUT))
  if not answer then return nil, message, code end
  local without = self.node:pids(answer[2])
  return websockets:minus(without), without, self.node:pids(answer[1])
end

--- As for other sites.
function cowboy_1:channels()
  local found, message, code = self:connections()
  if not found then return nil, message, code end
  return found.channels
end

--- The connections that run a request now.
function cowboy_1:requests()
  local http, message, code = self:candidates()
  if not http then return nil, message, code end
  if #http == 0 then return http end
  local answer
  answer, message, code = shape.expect(self.node, "which requests run", PIDS,
    self.node:run("cowboy_1_requests", { Pids = http }, TIMEOUT))
  if not answer then return nil, message, code end
  return self.node:pids(answer)
end

return cowboy_1
