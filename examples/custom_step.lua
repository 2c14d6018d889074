-- An upgrade with steps of one's own: lua5.4 custom_step.lua NODE APPLICATION VERSION PROCESS
--
-- One looks at the node before anything is touched, one suspends a process of ours along with the websockets, one has the
-- last word before they go on. PROCESS is a registered name.

local relup = require "edeliver.relup"

local name, app, version, process = arg[1], arg[2], arg[3], arg[4]
if not process then
  io.stderr:write "usage: lua5.4 custom_step.lua NODE APPLICATION VERSION PROCESS\n"
  os.exit(64)
end

-- A check: where it fails, nothing has happened yet.
local check_mailboxes = {
  name = "check_mailboxes",
  before = "suspend_ranch_acceptors",
  because = "a node that lags behind is not to be stopped on top of it",
  run = function(node)
    local pids, message, code = node:processes()
    if not pids then return nil, message, code end
    local infos
    infos, message, code = node:process_info(pids, { "message_queue_len" })
    if not infos then return nil, message, code end
    for i, info in ipairs(infos) do
      if info and info.message_queue_len > 1000 then
        return nil, ("%s has %d messages waiting"):format(tostring(pids[i]), info.message_queue_len), "busy"
      end
    end
    return ("%d processes looked at"):format(#pids)
  end,
}

-- Whoever is suspended through ctx is resumed whatever happens, by resume_channels or on the way out.
local suspend_process = {
  name = "suspend_process",
  after = "suspend_channels",
  before = "install",
  because = "it hears from the channels, and from nobody else",
  run = function(node, _, ctx)
    local pid, message, code = node:call("erlang", "whereis", { relup.term.atom(process) })
    if not pid then return nil, message, code end
    if relup.term.kind(pid) ~= "pid" then return nil, ("nobody is called %s there"):format(process), "noproc" end
    local answer, count = ctx:suspend({ pid }, 1000)
    if answer ~= "ok" then return nil, ("%s did not let itself be suspended: %s"):format(process, tostring(count)), "timeout" end
    return ("%s is suspended"):format(process)
  end,
}

-- The last moment at which everything still stands still: is all of the new code in?
local check_new_code = {
  name = "check_new_code",
  after = "install",
  before = "resume_channels",
  because = "nobody should go on in code that is not the one we want",
  run = function(node)
    local stale, message, code = node:call("code", "modified_modules")
    if not stale then return nil, message, code end
    if #stale > 0 then return nil, ("not loaded from the new release: %s"):format(tostring(stale)), "stale" end
    return "what runs is what lies on the disk"
  end,
}

local upgrade = relup.sequence {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections", check_mailboxes,
  "suspend_ranch_acceptors", "suspend_channels", suspend_process, "finish_running_requests",
  relup.install(),
  check_new_code,
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}

local node <close> = assert(relup.connect(name))
local report, message, failed = upgrade:run(node, { name = app, version = version })
print(report or failed)
if not report then
  io.stderr:write(message, "\n")
  os.exit(1, true)
end
