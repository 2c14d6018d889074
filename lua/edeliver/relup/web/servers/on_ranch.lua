--- Sites on ranch, of any protocol: what ranch's books say of their connections.
--
-- @classmod edeliver.relup.web.servers.on_ranch

local ranch = require "edeliver.relup.web.listeners.ranch"
local site = require "edeliver.relup.web.site"

local on_ranch = site.extend()

on_ranch.listening = ranch

--- As for other sites: that ranch has a supervisor of connections.
function on_ranch:missing_connections()
  return self:missing("connections supervisor", function(listener)
    return listener.connection_sups and #listener.connection_sups > 0
  end)
end

--- Who supervises the connections; of all listeners, or only of those whose connections are typed `supervisor`.
function on_ranch:connection_supervisors(typed_supervisor)
  local sups = {}
  for _, listener in ipairs(self.listeners) do
    if listener.typed_supervisor or not typed_supervisor then
      for _, pid in ipairs(listener.connection_sups or {}) do sups[#sups + 1] = pid end
    end
  end
  return sups
end

--- As for other sites: by ranch's books, what has left the count is a websocket.
function on_ranch:candidates() return ranch.connections(self.node, self.listeners) end

return on_ranch
