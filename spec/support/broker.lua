--- A real RabbitMQ broker with its web plugins, started from build/erlang/broker in a folder of its own, on ports of loopback.

local node = require "support.node"
local process = require "support.process"

local broker = {}

local folder = process.root .. "/build/erlang/broker"

--- Whether there is one to be started.
function broker.is_there() return process.output(("ls -d '%s'/rabbit-* 2>/dev/null"):format(folder)) ~= "" end

local CONFIG = [=[
[{rabbit, [{tcp_listeners, []}]},
 {rabbitmq_stomp, [{tcp_listeners, []}]},
 {rabbitmq_mqtt, [{tcp_listeners, [{"127.0.0.1", %d}]}]},
 {rabbitmq_web_stomp, [{tcp_config, [{ip, "127.0.0.1"}, {port, %d}]}]},
 {rabbitmq_web_mqtt, [{tcp_config, [{ip, "127.0.0.1"}, {port, %d}]}]},
 {rabbitmq_management, [{tcp_config, [{ip, "127.0.0.1"}, {port, %d}]}]}].
]=]

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Nothing is read or written but in the folder. Four neighbouring ports, below the range that systems hand out by chance.
local function start()
  local env, arguments, self = node.prepare { name = "rabbit" }
  local first = math.random(20000, 31990)
  self.ports = { stomp = first, mqtt = first + 1, http = first + 2, bare_mqtt = first + 3 }
  write(self.folder .. "/advanced.config", CONFIG:format(first + 3, first, first + 1, first + 2))
  write(self.folder .. "/enabled_plugins", "[rabbitmq_web_stomp,rabbitmq_web_mqtt,rabbitmq_management].\n")
  for name, value in pairs {
    NODENAME = self.name, USE_LONGNAME = "true", LOGS = "-", PLUGINS_DIR = folder,
    HOME = self.folder, MNESIA_BASE = self.folder, MNESIA_DIR = self.folder .. "/mnesia", LOG_BASE = self.folder,
    ENABLED_PLUGINS_FILE = self.folder .. "/enabled_plugins", ADVANCED_CONFIG_FILE = self.folder .. "/advanced.config",
    CONFIG_FILE = self.folder .. "/none", CONF_ENV_FILE = self.folder .. "/none", PID_FILE = self.folder .. "/broker.pid",
    FEATURE_FLAGS_FILE = self.folder .. "/feature_flags", GENERATED_CONFIG_DIR = self.folder .. "/config",
    PLUGINS_EXPAND_DIR = self.folder .. "/expand",
  } do env["RABBITMQ_" .. name] = value end
  env.SYS_PREFIX, env.ERL_LIBS = "", folder
  local command = { "erl" }
  table.move(arguments, 1, #arguments, 2, command)
  for _, word in ipairs { "-boot", "start_sasl", "+W", "w", "-s", "rabbit", "boot" } do command[#command + 1] = word end
  node.adopt(self, process.start { command = command, env = env, folder = self.folder })
  local up = process.wait_until(function()
    return self.process:exited() and "exited" or self:printed():find("Server startup complete", 1, true) and "up"
  end, 60000)
  return self, up == "up"
end

--- Starts one and waits until it serves, some ten seconds; again with other ports where it does not start.
-- @return a `support.node` object with `ports`: of `stomp`, `mqtt`, `http`, its management, and `bare_mqtt`, without websockets
function broker.start()
  local self, up
  local printed
  for _ = 1, 3 do
    self, up = start()
    if up then return self end
    printed = self:printed():sub(-3000)
    self:stop()
  end
  error("the broker did not start:\n" .. printed)
end

return broker
