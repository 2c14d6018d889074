-- Deploys a release to a live node: lua5.4 deploy.lua NODE PATH
--
-- PATH is a release's folder or its tarball, as `mix release` leaves it. Nothing has to be prepared on the node; the cookie is in
-- ~/.erlang.cookie. For a node without a web server, leave out the lines of acceptors, channels and requests.

local relup = require "edeliver.relup"

local name, path = arg[1], arg[2]
if not path then
  io.stderr:write "usage: lua5.4 deploy.lua NODE PATH\n"
  os.exit(64)
end

local node <close> = assert(relup.connect(name))

local upgrade = relup.sequence {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  relup.install { release = path },
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}

local report, message, failed = upgrade:run(node, {})
print(report or failed)
if not report then
  io.stderr:write(message, "\n")
  os.exit(1, true)
end
