-- Upgrades several nodes, one after the other: lua5.4 rolling.lua APPLICATION VERSION NODE...
--
-- Stops at the first node that fails, so that at most one is ever in doubt. May be run again: nodes that have the version
-- already are passed over.

local relup = require "edeliver.relup"

local application, version = arg[1], arg[2]
local names = table.move(arg, 3, #arg, 1, {})
if #names == 0 then
  io.stderr:write "usage: lua5.4 rolling.lua APPLICATION VERSION NODE...\n"
  os.exit(64)
end

local upgrade = relup.sequence {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  relup.install { permanent = true },
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}

-- Upgrades one node; gives what to say about it, or nil and what went wrong.
local function upgrade_node(name)
  local node <close>, problem = relup.connect(name)
  if not node then return nil, problem end
  local report, message, failed = upgrade:run(node, { name = application, version = version, log = function() end })
  if report then
    local still = report.stood_still
    return ("%s: %d sockets, each stood still for at most %.0f ms"):format(name, report.suspended, still and still.max or 0)
  end
  if failed.code == "already_installed" then return name .. ": has it already" end
  return nil, message
end

for _, name in ipairs(names) do
  local done, problem = upgrade_node(name)
  if not done then
    io.stderr:write(name, ": ", problem, "\n")
    os.exit(1, true)
  end
  print(done)
end
