--- Servers of which Debian carries none (spec/support/servers), on the node of the chat release: compiled once, loaded there.

local compiled = require "support.compiled"
local live = require "support.live"

local servers = {}
local methods = {}

-- Loads the modules on the node of a release.
local function load_on(release)
  local loaded = ([[lists:foreach(fun(F) -> {module, _} = code:load_abs(filename:rootname(F)) end,
    filelib:wildcard("%s/*.beam"))]]):format(compiled "servers")
  assert(release:eval(loaded) == "ok")
end

--- Loads the modules on the node of a release that runs.
-- @return an object with the methods below
function servers.on(release)
  load_on(release)
  return setmetatable({ release = release }, { __index = methods })
end

--- Starts the chat release with the modules loaded.
-- @tparam[opt] table options as `live.start` takes them
-- @return a `support.live` object with the methods below
function servers.start(options)
  local self = live.start(options)
  load_on(self.release)
  for name, method in pairs(methods) do self[name] = method end
  return self
end

--- Starts an application of theirs, "kiosk" (Bandit) or "booth" (cowboy 1); gives its port.
function methods:serve(name)
  assert(self.release:eval(("kiosk_app:start_application(%s)"):format(name)) == "ok")
  local port = name == "kiosk" and "persistent_term:get(kiosk_port)" or "ranch:get_port('Elixir.Booth.Endpoint.HTTP')"
  return tonumber(self.release:eval(port))
end

--- How many polls of long polling wait now.
function methods:polls()
  return tonumber(self.release:eval [[length([P || P <- processes(), {_, {M, F, _}} <- [process_info(P, current_function)],
    {M, F} =:= {'Elixir.Phoenix.Transports.LongPoll', listen}])]])
end

-- A process on the node that holds sockets.
local holder = {}
holder.__index = holder

--- How many of the sockets answer a ping in time.
function holder:ping(ms)
  return tonumber(self.release:eval(("kiosk_clients:ping(list_to_pid(\"%s\"), %d)"):format(self.pid, ms)))
end

function holder:close() self.release:eval(("kiosk_clients:close(list_to_pid(\"%s\"))"):format(self.pid)) end
holder.__close = holder.close

local function hold(self, expression)
  return setmetatable({ release = self.release, pid = assert(self.release:eval(expression)) }, holder)
end

--- Opens sockets on the node, each of which sends lines; they stay open until the object is closed.
function methods:open(port, count, ...)
  return hold(self, ('kiosk_clients:open(%d, %d, ["%s"])'):format(port, count, table.concat({ ... }, '", "')))
end

--- Opens websockets over TLS.
function methods:open_tls(port, count) return hold(self, ("kiosk_clients:open_tls(%d, %d)"):format(port, count)) end

return servers
