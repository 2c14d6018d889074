--- Sites of ranch listeners with `connection_type => supervisor` and a protocol of their own, which starts a supervisor for each
-- connection and cowboy 2's process below it. Ranch's books know the supervisors alone, so websockets are told by where
-- cowboy's processes are in its code. Only those that hibernate or are suspended are asked for their status, which cowboy
-- gives at once.
--
-- @classmod edeliver.relup.web.servers.supervised

local count = require "edeliver.relup.base.count"
local cowboy = require "edeliver.relup.web.servers.cowboy"
local on_ranch = require "edeliver.relup.web.servers.on_ranch"
local shape = require "edeliver.relup.node.shape"
local site = require "edeliver.relup.web.site"

local supervised = site.extend(on_ranch)

local TIMEOUT = 30000 -- ms
local PIDS = shape.list(shape.pid)
local FOUND = shape.tuple(PIDS, PIDS, PIDS, shape.integer, shape.integer)

-- Everything below the listeners: websockets, http connections, their supervisors, and how many connections are none.
local function look(self)
  local active, removed, code = on_ranch.candidates(self)
  if not active then return nil, removed, code end
  local all = active:plus(removed)
  if #all == 0 then return { websockets = all, http = all, supervisors = {}, strangers = 0, others = 0 } end
  local answer, message, why = shape.expect(self.node, "what its connections are", FOUND,
    self.node:run("supervised_connections", { Pids = all }, TIMEOUT))
  if not answer then return nil, message, why end
  return {
    websockets = self.node:pids(answer[1]), http = self.node:pids(answer[2]), supervisors = answer[3], strangers = answer[4],
    others = answer[5],
  }
end

--- As for other sites on ranch; and that every connection is a supervisor, with cowboy's process below.
function supervised:missing_connections()
  local missing = on_ranch.missing_connections(self)
  if missing then return missing end
  local found, message = look(self)
  if not found then return message end
  if found.strangers > 0 then
    return ("%s: %s typed supervisor and %s none"):format(self:describe(),
      count.of(found.strangers, "connection is", "connections are"), count.verb(found.strangers, "is", "are"))
  elseif found.others > 0 then
    return ("%s: %s no websocket or http connection of cowboy's: this protocol is not understood"):format(self:describe(),
      count.of(found.others, "connection is", "connections are"))
  end
end

--- As for other sites.
function supervised:candidates()
  local found, message, code = look(self)
  if not found then return nil, message, code end
  return found.http, found.websockets
end

--- As for other sites.
function supervised:requests()
  local found, message, code = look(self)
  if not found then return nil, message, code end
  return cowboy.requests(self.node, found.http, found.supervisors)
end

return supervised
