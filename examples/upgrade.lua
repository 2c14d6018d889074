-- Upgrades a live node: lua5.4 upgrade.lua NODE APPLICATION VERSION
--
-- The release's tarball lies on the node already (releases/APPLICATION-VERSION.tar.gz), and the cookie in ~/.erlang.cookie.

local relup = require "edeliver.relup"

local name, application, version = arg[1], arg[2], arg[3]
if not version then
  io.stderr:write "usage: lua5.4 upgrade.lua NODE APPLICATION VERSION\n"
  os.exit(64)
end

local node <close> = assert(relup.connect(name))

local upgrade = relup.sequence {
  "check_processes_running_old_code",
  "check_ranch_acceptors",
  "check_ranch_connections",
  "suspend_ranch_acceptors",
  "suspend_channels",
  "finish_running_requests",
  relup.install(),
  "rerun_failed_requests",
  "resume_channels",
  "resume_ranch_acceptors",
}

local report, message, failed = upgrade:run(node, { name = application, version = version })
print(report or failed)
if not report then
  io.stderr:write(message, "\n")
  os.exit(1, true)
end
