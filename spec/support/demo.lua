--- The demonstration (tools/demo): upgrades the chat release under a thousand websockets that keep sending, and says what
-- they noticed. Every figure comes from the clients or from the node itself, and a wrong one fails the demonstration.
--
--     lua5.4 spec/support/demo.lua [SOCKETS [SCRIPT]]
--
-- SCRIPT (default examples/upgrade.lua) is run as an operator runs it: `lua5.4 SCRIPT NODE APPLICATION VERSION`.

local process = require "support.process"
local chat = require "support.chat"
local clients = require "support.clients"

local OLD, NEW = "1.0.0", "2.0.0"
local count = math.tointeger(arg[1] or 1000)
local script = arg[2] or "examples/upgrade.lua"

-- 5,000 pings a second in all, so that the machine measures the upgrade and not itself.
local interval = math.max(200, count // 5)

local failures = 0
local started = process.now()

local function say(text, ...)
  print(("%7.2f s  " .. text):format((process.now() - started) / 1000, ...))
  io.stdout:flush()
end

-- One line of the summary, marked where it isn't as it has to be.
local function figure(name, value, good)
  if not good then failures = failures + 1 end
  print(("  %-34s %10s   %s"):format(name, value, good and "ok" or "WRONG"))
end

-- Runs the operator's script, passing on what it prints as it comes; true when it succeeded.
local function run_script(release)
  local words = { "timeout", "120", "lua5.4", script, release.name, "chat", NEW }
  local pipe = assert(io.popen(release:operator_command(words) .. " 2>&1", "r"))
  for line in pipe:lines() do say("  | %s", line) end
  return pipe:close() == true
end

-- A process on the node that looks, again and again, how many processes sit suspended; the answer is the most that it saw.
local function watch(release)
  assert(release:eval [[
    Watch = fun Watch(Most) ->
      process_flag(priority, high),
      Suspended = length([P || P <- processes(),
                               process_info(P, current_function) =:= {current_function, {sys, suspend_loop, 6}}]),
      receive {most, From} -> From ! {most, max(Most, Suspended)} after 5 -> Watch(max(Most, Suspended)) end
    end,
    register(demo_watch, spawn(fun() -> Watch(0) end)) ]])
  return function()
    return math.tointeger(assert(release:eval "demo_watch ! {most, self()}, receive {most, Most} -> Most after 5000 -> -1 end"))
  end
end

local function demonstrate(release, sockets)
  say("opening %d websockets, each joins a channel and pings it every %d ms", count, interval)
  sockets:open { port = release.ports.endpoint, count = count, interval = interval }
  process.sleep(1000 + interval)
  local before = sockets:reset()
  local pid = release:pid()
  say("%d open, %d pings answered by %s", before.open, before.answered, OLD)

  say("lua5.4 %s %s chat %s", script, release.name, NEW)
  local most_suspended = watch(release)
  local began = process.now()
  local succeeded = run_script(release)
  local took = process.now() - began
  local most = most_suspended()
  -- Long enough for every socket to have sent again.
  process.sleep(300 + interval)
  local during = sockets:reset()
  process.sleep(1000 + interval)
  local after = sockets:drain(10000)

  local function total(version)
    local versions = { before.versions[version] or 0, during.versions[version] or 0, after.versions[version] or 0 }
    return versions[1] + versions[2] + versions[3]
  end
  local status = release:releases()[NEW]
  print()
  figure("the script ended well, ms", ("%.0f"):format(took), succeeded)
  figure("sockets open before", before.open, before.open == count)
  figure("sockets open after", after.open, after.open == count)
  -- A sample: a look at thousands of processes takes longer than the moment when all of them are suspended.
  figure("seen suspended at once", most, most > 0)
  figure("reconnects", after.reconnects, after.reconnects == 0)
  figure("pings sent", after.sent, after.sent > 0)
  figure("replies by version " .. OLD, total(OLD), total(OLD) > 0)
  figure("replies by version " .. NEW, total(NEW), total(NEW) > 0)
  figure("replies by " .. OLD .. " after the upgrade", after.versions[OLD] or 0, not after.versions[OLD])
  figure("pings answered", after.answered, after.answered == total(OLD) + total(NEW))
  figure("messages lost", after.lost + after.pending, after.lost + after.pending == 0)
  figure("messages out of order", after.disorder, after.disorder == 0)
  figure("a socket stood still, ms, median", during.still_p50, true)
  figure("                          p99", during.still_p99, true)
  figure("                          at most", during.still_max, during.still_max < 30000)
  figure("the node says of release " .. NEW, status or "nothing", status == "current" or status == "permanent")
  figure("processes left suspended", release:suspended(), release:suspended() == 0)
  figure("the VM's process id, still", release:pid(), release:alive() and release:pid() == pid)
  print()
end

local exists = io.open(script)
if not exists then
  io.stderr:write(script, " is missing\n")
  os.exit(1)
end
exists:close()

do
  say("starting the chat release, version %s", OLD)
  local release <close> = chat.start()
  local sockets <close> = clients.start()
  demonstrate(release, sockets)
end
say(failures == 0 and "all is as it has to be" or "%d of these figures are wrong", failures)
os.exit(failures == 0, true)
