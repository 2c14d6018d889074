--- An operator's program for specs of accidents: upgrades the chat release by a sequence with one step that does harm, or that is
-- stopped right before it acts.
--
--     lua5.4 operator.lua node=… cookie=… version=… journal=… fault=… after=N
--
-- and optionally epmd_port, port (then epmd is not asked), grace, lease, patience, target, mode ("run", or "install" for the
-- steps inside the relup), install_timeout, engine, waits_at_the_end (once its report was printed, for a line).
-- The fault happens after the first N steps, once: the first time or, with `pass` = 2,
-- the second time that they are passed. With `before` = "suspend", "acceptors" or
-- "relup" it happens where the guard knows already of that act, and the node not yet. It prints "at the fault" when it is there,
-- and "ok" or "failed CODE" at the end. With `document` it is the command line's `upgrade` that runs, and its result is written
-- to that file as JSON.

local relup = require "edeliver.relup"
local core = require "edeliver.relup.core"
local guard = require "edeliver.relup.undo.guard"
local node_class = require "edeliver.relup.node"

local given = {}
for _, word in ipairs(arg) do
  local name, value = word:match "^([%w_]+)=(.*)$"
  given[name] = tonumber(value) or value
end

-- One process id, whoever asks: the shell's parent is we.
local function signal_ourselves(name) os.execute(("kill -%s $PPID"):format(name)) end

-- Faults -------------------------------------------------------------------------------------------------------------

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

-- Waits with the connection unattended; what happens to it is noticed later.
function faults.doze()
  core.sleep(given.wait or 3000)
  return true
end

-- The same, until a line comes from the spec.
function faults.ask()
  io.read "l"
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

local function happen(node)
  print "at the fault"
  io.stdout:flush()
  return faults[given.fault](node)
end

-- Where ----------------------------------------------------------------------------------------------------------------

local function with_the_fault(steps)
  if not given.after then return steps end
  local mended, passed = table.move(steps, 1, #steps, 1, {}), 0
  -- A check inside the relup runs twice: check_install_release evaluates it, too.
  local function run(node)
    passed = passed + 1
    if passed ~= (given.pass or 1) then return true end
    return happen(node)
  end
  table.insert(mended, given.after + 1, { name = "fault", section = given.after < 3 and "check" or nil, run = run })
  return mended
end

-- The method of a node by which each of these is asked for first.
local ACTS = { suspend = "bulk_suspend", acceptors = "act", relup = "act" }

-- Once, between what the guard was told and the act itself.
local function stop_before(method)
  local act = node_class[method]
  node_class[method] = function(node, ...)
    node_class[method] = act
    happen(node)
    return act(node, ...)
  end
end

-- Running --------------------------------------------------------------------------------------------------------------

local STEPS = {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  relup.install { timeout = given.install_timeout },
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}

local function run()
  local node <close> = assert(relup.connect(given.node, {
    cookie = given.cookie, epmd_port = given.epmd_port, port = given.port, address = given.port and "127.0.0.1",
  }))
  local sequence = relup.sequence(with_the_fault(STEPS))
  local report, message, unfinished = sequence[given.mode or "run"](sequence, node, {
    name = "chat", version = given.version, journal = given.journal, grace = given.grace, lease = given.lease,
    suspend_timeout = given.suspend_timeout, target = given.target, patience = given.patience, engine = given.engine,
  })
  print(report and "ok" or "failed " .. tostring(unfinished.code))
  print(report or message)
  if unfinished then print(unfinished:summary()) end
end

-- As `edeliver-relup NODE upgrade VERSION`, which has no options for these times, and no step of a user's.
local function run_command()
  local output = require "edeliver.relup.cli.output"
  local sequence_runner = require "edeliver.relup.cli.sequence_runner"
  guard.GRACE, guard.LEASE = given.grace or guard.GRACE, given.lease or guard.LEASE
  local steps, close = sequence_runner.steps, output.close
  function sequence_runner.steps(...) return with_the_fault(steps(...)) end
  function output.close(self, code)
    if given.waits_at_the_end then
      print "at the end"
      io.stdout:flush()
      io.read "l"
    end
    local file = assert(io.open(given.document, "w"))
    file:write(require("dkjson").encode { exit = code, result = self.result, error = self.failure })
    file:close()
    return close(self, code)
  end
  local words = { given.node, "upgrade", given.version, "--journal", given.journal, "--no-color" }
  if given.mode == "install" then words[#words + 1] = "--in-relup" end
  if given.engine then table.move({ "--engine", given.engine }, 1, 2, #words + 1, words) end
  if given.epmd_port then table.move({ "--epmd-port", tostring(given.epmd_port) }, 1, 2, #words + 1, words) end
  if given.port then
    table.move({ "--dist-port", tostring(given.port), "--address", "127.0.0.1" }, 1, 4, #words + 1, words)
  end
  local cli = require "edeliver.relup.cli"
  require "edeliver.relup.cli.commands.upgrade"
  print "begins"
  io.stdout:flush()
  os.exit(cli.main(words), true)
end

if given.before then stop_before(ACTS[given.before]) end
if given.document then run_command() else run() end
