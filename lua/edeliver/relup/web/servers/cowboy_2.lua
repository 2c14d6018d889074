--- Sites of cowboy 2 on ranch.
--
-- Its connections may be typed `supervisor`: those are hidden from the release handler while websockets are suspended. See
-- `edeliver.relup.web.servers.cowboy`.
--
-- @classmod edeliver.relup.web.servers.cowboy_2

local count = require "edeliver.relup.base.count"
local cowboy = require "edeliver.relup.web.servers.cowboy"
local listeners = require "edeliver.relup.web.listeners"
local on_ranch = require "edeliver.relup.web.servers.on_ranch"
local site = require "edeliver.relup.web.site"

local cowboy_2 = site.extend(on_ranch)

--- As for other sites on ranch; and that cowboy 2 has the connections.
function cowboy_2:missing_connections()
  local missing = on_ranch.missing_connections(self)
  if missing then return missing end
  for _, listener in ipairs(self.listeners) do
    if not cowboy.protocols[listener.protocol] then
      return ("%s speaks %s. On ranch only the connections of cowboy are understood (cowboy_clear, cowboy_tls, and "
        .. "cowboy_protocol of cowboy 1)"):format(listeners.describe(listener), listener.protocol)
    end
  end
end

--- As for other sites; see `web.servers.cowboy.requests`.
function cowboy_2:requests()
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

--- As for other sites.
function cowboy_2:hide(ctx)
  local act = hiding(self)
  if act then
    local done, message, code = ctx:apply("connection types", { act })
    if not done then return nil, message, code end
    if ctx.dry_run then
      ctx.would_hide = true
      return true
    end
    ctx:log("info", ("%s: ranch calls its connections workers until they are resumed, so that the release handler passes them by")
      :format(self:describe()))
  end
  local visible, message, code = cowboy.count_visible(self.node, self:connection_supervisors())
  if not visible then return nil, message, code end
  if visible == 0 then return true end
  return nil, ("%s: %s typed supervisor, which could not be changed. While they are suspended, install_release would fail past "
    .. "the point of no return and restart the node. Set connection_type => worker in the listener's transport options, or use "
    .. 'config.target = "channels"'):format(self:describe(), count.of(visible, "connection is", "connections are")), "refused"
end

--- As for other sites.
function cowboy_2:show()
  local act = hiding(self)
  if not act then return true end
  local done, message, code = self.node:call(table.unpack(act.undo))
  if done == nil then return nil, message, code end
  return true
end

return cowboy_2
