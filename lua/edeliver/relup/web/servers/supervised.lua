--- Sites of ranch listeners with `connection_type => supervisor` and a protocol of their own, which starts a supervisor for each
-- connection and cowboy 2's process below it. Ranch's books know the supervisors alone, so websockets are told by where
-- cowboy's processes are in its code. Only those that hibernate or sit suspended are asked for their status, which cowboy
-- gives at once.
--
-- @classmod edeliver.relup.web.servers.supervised

local cowboy = require "edeliver.relup.web.servers.cowboy"
local ranch = require "edeliver.relup.web.listeners.ranch"
local shape = require "edeliver.relup.node.shape"
local site = require "edeliver.relup.web.site"

local supervised = site.extend()

local TIMEOUT = 30000 -- ms
local PIDS = shape.list(shape.pid)
local FOUND = shape.tuple(PIDS, PIDS, PIDS, shape.integer)

-- Everything below the listeners: websockets, http connections, their supervisors, and how many connections are none.
local function look(self)
  local active, removed, code = ranch.connections(self.node, self.listeners)
  if not active then return nil, removed, code end
  local all = active:plus(removed)
  if #all == 0 then return { websockets = all, http = all, supervisors = {}, strangers = 0 } end
  local answer, message, why = shape.expect(self.node, "what its connections are", FOUND,
    self.node:run("supervised_connections", { Pids = all }, TIMEOUT))
  if not answer then return nil, message, why end
  return {
    websockets = self.node:pids(answer[1]), http = self.node:pids(answer[2]), supervisors = answer[3], strangers = answer[4],
  }
end

--- As for other sites; and that every connection is a supervisor.
function supervised:missing_connections()
  local missing = self:missing("connections supervisor", function(listener)
    return listener.connection_sups and #listener.connection_sups > 0
  end)
  if missing then return missing end
  local found, message = look(self)
  if not found then return message end
  if found.strangers > 0 then
    return ("%s: %d of its connections are not supervisors, although they are typed so"):format(self:describe(), found.strangers)
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

--- Nothing has to be hidden: the release handler meets real supervisors, and below them workers.
function supervised:hide() return self ~= nil end
supervised.show = supervised.hide

return supervised
