--- An operator's program for specs of accidents: upgrades the chat release by a sequence with one step that does harm.
--
--     lua5.4 operator.lua node=… cookie=… version=… journal=… fault=… after=N
--
-- and optionally epmd_port, port (then epmd is not asked), grace, lease, patience, target, mode ("run", or "install" for the
-- steps inside the relup), install_timeout. The fault happens after the first N steps. It prints "at the fault" when it is
-- there, and "ok" or "failed CODE" at the end.

local relup = require "edeliver.relup"
local core = require "edeliver.relup.core"

local given = {}
for _, word in ipairs(arg) do
  local name, value = word:match "^([%w_]+)=(.*)$"
  given[name] = tonumber(value) or value
end

local STEPS = {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  relup.install { timeout = given.install_timeout },
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}

-- One process id, whoever asks: the shell's parent is we.
local function signal_ourselves(name) os.execute(("kill -%s $PPID"):format(name)) end

local faults = {}

function faults.none() return true end

function faults.kill() signal_ourselves "KILL" end

-- The signal is there when the shell is gone: whatever comes next raises.
function faults.term()
  signal_ourselves "TERM"
  return true
end

function faults.int()
  -- A program that waits for a shell ignores this one meanwhile.
  os.execute "(sleep 0.02; kill -INT $PPID) &"
  core.sleep(500)
  return true
end

function faults.exit() os.exit(3) end

function faults.error() error "a step of the user's went wrong" end

-- Waits with an open ear: a connection that is cut ends the step.
function faults.listen(node) return node:sleep(given.wait or 3000) end

-- Waits with the connection unattended; whatever happens to it is noticed later.
function faults.doze()
  core.sleep(given.wait or 3000)
  return true
end

-- Holds one of the suspended channels, so that a release handler that wants to suspend it, too, waits for it: until the process
-- `holder` is told to go, but not for so long that the release handler would give up on the channel.
function faults.hold(node)
  return node:eval [=[
    [Held | _] = [P || P <- processes(), process_info(P, current_function) =:= {current_function, {sys, suspend_loop, 6}}],
    Asks = self(),
    spawn(fun() ->
      register(holder, self()), true = erlang:suspend_process(Held), Asks ! held,
      receive go -> ok after 4500 -> ok end
    end),
    receive held -> persistent_term:put(held, Held), true end.]=]
end

local function fault_step(before_install)
  return {
    name = "fault", section = before_install == "check" and "check" or nil,
    run = function(node)
      print "at the fault"
      io.stdout:flush()
      return faults[given.fault](node)
    end,
  }
end

local steps = table.move(STEPS, 1, #STEPS, 1, {})
table.insert(steps, given.after + 1, fault_step(given.after < 3 and "check"))

local node <close> = assert(relup.connect(given.node, {
  cookie = given.cookie, epmd_port = given.epmd_port, port = given.port, address = given.port and "127.0.0.1",
}))
local sequence = relup.sequence(steps)
local report, message, unfinished = sequence[given.mode or "run"](sequence, node, {
  name = "chat", version = given.version, journal = given.journal, grace = given.grace, lease = given.lease,
  suspend_timeout = given.suspend_timeout, target = given.target, patience = given.patience,
})
print(report and "ok" or "failed " .. tostring(unfinished.code))
print(report or message)
