-- The soak: suspend, resume, upgrade and downgrade over and over, from one Lua process, under websockets that keep sending;
-- half of them stay from beginning to end, the others come and go. Says whether memory grew on either side, whether anything
-- was left behind on the node, and whether a socket or an answer was lost. A wrong figure fails it.
-- lua5.4 bench/soak.lua [MINUTES [SOCKETS]]
--
-- After each round the clients fall silent for a moment, so that what is counted then must be the same number every time:
-- processes, atoms, ports, tables, descriptors. Memory is never quite the same, but garbage comes and goes and a leak stays:
-- the least that there was in the last quarter of the time is held against the least in the first.

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;" .. package.path
local relup = require "edeliver.relup"
local chat = require "support.chat"
local clients = require "support.clients"
local process = require "support.process"

local MINUTES = tonumber(arg[1] or 60)
local SOCKETS = math.tointeger(arg[2] or 10000)
local OLD, NEW = "1.0.0", "2.0.0"
local WARM_UP = 0.1 -- of the time, before anything counts: malloc takes minutes to have all the holes that it will ever have
local CONNECT_EVERY = 5 -- rounds
local PINGS, RENEWALS = 1500, 70 -- a second, of all sockets together
local STOPS = 4 -- of the acceptors, a round
local SUSPENDED, BETWEEN = 300, 500 -- ms: for how long sockets are held, and the time to breathe between two runs

local atom = relup.term.atom
local started = process.now()

local function say(text, ...)
  print(("%8.1f s  " .. text):format((process.now() - started) / 1000, ...))
  io.stdout:flush()
end

local function log(level, text)
  if level ~= "info" then say("%s: %s", level, text) end
end

local release <close> = chat.start()
local sockets <close> = clients.start()
local journal = release.folder .. "/journal"
local own_pid = process.read_file("/proc/self/stat"):match "%d+"
local vm_pid = release:pid()

local function connect()
  return assert(relup.connect(release.name, { cookie = release.cookie, epmd_port = release.epmd_port }))
end

local node = connect()

-- What is measured ---------------------------------------------------------------------------------------------------

local function ask(module, fun, ...) return assert(node:call(module, fun, { ... }, 30000)) end

local function system_info(item) return ask("erlang", "system_info", atom(item)) end

-- Into a file: a pipe from the shell would be a descriptor of ours, or two.
local function descriptors(pid)
  local counted = release.folder .. "/descriptors"
  assert(os.execute(("ls /proc/%s/fd | wc -l > %s"):format(pid, process.quote(counted))))
  return tonumber(process.read_file(counted))
end

local function resident_of(pid)
  return function() return tonumber(process.read_file(("/proc/%s/status"):format(pid)):match "VmRSS:%s*(%d+)") end
end

local function lua_memory()
  collectgarbage() collectgarbage()
  return collectgarbage "count"
end

local memory -- what erlang:memory() gave last

local function memory_of(kind)
  return function()
    for _, pair in ipairs(memory) do
      if pair[1].name == kind then return pair[2] / 1024 end
    end
  end
end

-- Each with the growth that is taken for chance, as a part and in KB; without one, it must never change at all.
local FIGURES = {
  { name = "processes", column = "procs", of = function() return system_info "process_count" end },
  { name = "suspended processes", column = "held", of = function() return #assert(node:suspended(nil, 30000)) end },
  { name = "ports", column = "ports", of = function() return system_info "port_count" end },
  { name = "atoms", column = "atoms", of = function() return system_info "atom_count" end },
  { name = "registered names", column = "names", of = function() return #ask("erlang", "registered") end },
  { name = "ets tables", column = "tables", of = function() return system_info "ets_count" end },
  { name = "the VM's descriptors", column = "VM fds", of = function() return descriptors(vm_pid) end },
  { name = "Lua's descriptors", column = "our fds", of = function() return descriptors(own_pid) end },
  { name = "Lua's memory, KB", column = "Lua KB", part = 0.01, slack = 32, of = lua_memory },
  { name = "Lua's resident memory, KB", column = "our RSS", part = 0.05, slack = 2048, of = resident_of(own_pid) },
  { name = "the VM's resident memory, KB", column = "VM RSS", part = 0.05, slack = 4096, of = resident_of(vm_pid) },
  { name = "erlang:memory(total), KB", column = "total", part = 0.05, slack = 4096, of = memory_of "total" },
  { name = "              processes", column = "heaps", part = 0.05, slack = 4096, of = memory_of "processes" },
  { name = "              binary", column = "binary", part = 0.05, slack = 4096, of = memory_of "binary" },
  { name = "              ets", column = "ets", part = 0.02, slack = 512, of = memory_of "ets" },
  { name = "              code", column = "code", part = 0.001, slack = 64, of = memory_of "code" },
  { name = "              atom", column = "atom KB", part = 0, slack = 0, of = memory_of "atom" },
}
for _, figure in ipairs(FIGURES) do
  figure.now, figure.low, figure.high, figure.least = 0, math.huge, -math.huge, { math.huge, math.huge, math.huge, math.huge }
end

-- Waits until the node has seen the end of everything that the clients have closed.
local function settle()
  local before
  assert(process.wait_until(function()
    local now = ("%d %d"):format(system_info "process_count", system_info "port_count")
    local same = now == before
    before = now
    if not same then node:sleep(100) end
    return same
  end, 30000), "the node does not come to rest")
end

-- Adds what is measured now to the tallies, which take no more memory however long it goes on.
local function measure(elapsed)
  settle()
  memory = ask("erlang", "memory")
  local quarter = elapsed and math.min(4, 1 + math.floor(elapsed * 4 / (MINUTES * 60000)))
  for _, figure in ipairs(FIGURES) do
    figure.now = figure.of()
    if quarter then
      figure.low, figure.high = math.min(figure.low, figure.now), math.max(figure.high, figure.now)
      figure.least[quarter] = math.min(figure.least[quarter], figure.now)
    end
  end
end

-- How many processes of each kind there are, by what they were started with; and how many atoms.
local function census()
  local count = {}
  for _, call in ipairs(assert(node:map("proc_lib", "translate_initial_call", assert(node:processes(30000)), 30000))) do
    local name = tostring(call)
    count[name] = (count[name] or 0) + 1
  end
  return { census = count, atoms = system_info "atom_count" }
end

-- The runs -----------------------------------------------------------------------------------------------------------

local UPGRADE = { -- as examples/upgrade.lua has it
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  relup.install(),
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}
local SUSPEND = {
  "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors", "suspend_channels",
  relup.sleep(SUSPENDED), "resume_channels", "resume_ranch_acceptors",
}

local function run(steps, config)
  config.name, config.journal, config.log = "chat", journal, log
  local report = assert(relup.sequence(steps):run(node, config))
  assert(report.ok and report.suspended >= SOCKETS // 2, "too few were suspended")
  assert(#assert(node:suspended()) == 0, "somebody is still suspended")
  assert(os.remove(journal))
  assert(node:sleep(BETWEEN))
end

local function round(number)
  run(SUSPEND, { target = "transports" })
  run(UPGRADE, { version = NEW })
  run(SUSPEND, { target = "channels" })
  run(UPGRADE, { version = OLD })
  if number % CONNECT_EVERY == 0 then
    node:close()
    node = connect()
  end
end

local totals = { rounds = 0, still = 0, versions = {}, stats = {} }

-- A round, and then silence: every socket must be there, and every ping answered.
local function round_and_silence(elapsed)
  totals.rounds = totals.rounds + 1
  round(totals.rounds)
  process.wait_until(function() return sockets:drain(60000).open == SOCKETS end, 10000)
  local stats = sockets:reset()
  assert(stats.open == SOCKETS and stats.pending == 0, ("%d sockets open, %d pings unanswered"):format(stats.open, stats.pending))
  for version, count in pairs(stats.versions) do totals.versions[version] = (totals.versions[version] or 0) + count end
  totals.still = math.max(totals.still, stats.still_max)
  totals.stats = stats
  measure(elapsed)
end

local function print_columns(of)
  local words = {}
  for i, figure in ipairs(FIGURES) do words[i] = ("%7s"):format(of(figure)) end
  say("%6s %8s %6s %s", of { column = "rounds", now = totals.rounds }, of { column = "renewed", now = totals.stats.renewed },
    of { column = "still", now = totals.still }, table.concat(words, " "))
end

-- Rounds for so many minutes; a line a minute. What is measured counts only after the warm-up.
local function soak(minutes, counts)
  local began, spoken = process.now(), 0
  repeat
    sockets:go()
    round_and_silence(counts and process.now() - began)
    if process.now() - spoken >= 60000 then
      spoken = process.now()
      print_columns(function(figure) return ("%.0f"):format(figure.now) end)
    end
  until process.now() - began >= minutes * 60000
end

-- The verdict --------------------------------------------------------------------------------------------------------

local failures = 0

local function verdict(name, good, text, ...)
  if not good then failures = failures + 1 end
  print(("  %-30s %-76s %s"):format(name, text:format(...), good and "as it has to be" or "WRONG"))
end

local function judge(figure)
  if not figure.part then
    return verdict(figure.name, figure.low == figure.high, "%.0f; never fewer than %.0f, nor more than %.0f", figure.now,
      figure.low, figure.high)
  end
  local first, last = figure.least[1], figure.least[4]
  local allowed = first * figure.part + figure.slack
  verdict(figure.name, last - first <= allowed, "%.0f in the first quarter, %.0f in the last: %+.0f of at most %+.0f", first,
    last, last - first, allowed)
end

-- What there is more of than at the beginning, by name. Atoms are numbered as they come; a VM reads what names one by its
-- number as it reads any term.
local function name_what_is_left(before, after)
  for name, count in pairs(after.census) do
    local more = count - (before.census[name] or 0)
    if more > 0 then verdict("left behind", false, "%d more processes of %s", more, name) end
  end
  for number = before.atoms, math.min(after.atoms, before.atoms + 50) - 1 do
    local external = "\131\75" .. string.pack(">I3", number)
    verdict("left behind", false, "the atom %s", tostring(ask("erlang", "binary_to_term", external)))
  end
end

local function judge_sockets(stats, old, new)
  verdict("sockets open", stats.open == SOCKETS, "%d", stats.open)
  verdict("sockets lost", stats.reconnects == 0, "%d", stats.reconnects)
  -- Acceptors are killed, and one may just have accepted: less than once in a stop, at these numbers.
  local stops = totals.rounds * STOPS
  verdict("cut off while being accepted", stats.refused <= stops, "%d of %d, in %d stops", stats.refused, stats.renewed, stops)
  verdict("sockets closed and opened", stats.renewed > 0, "%d", stats.renewed)
  verdict("pings answered", stats.answered == stats.sent and old > 0 and new > 0 and old + new == stats.answered,
    "%d of %d; by %s: %d, by %s: %d", stats.answered, stats.sent, OLD, old, NEW, new)
  verdict("pings lost", stats.lost + stats.pending == 0, "%d", stats.lost + stats.pending)
  verdict("answers out of order", stats.disorder == 0, "%d", stats.disorder)
  verdict("stood still, ms at most", totals.still < 30000, "%d", totals.still)
end

local function open_sockets()
  local interval = math.max(200, SOCKETS * 1000 // PINGS)
  local coming = SOCKETS // 2
  local life = math.max(1000, coming * 1000 // RENEWALS)
  say("opening %d websockets that stay, and %d that come and go, one in %d ms each", SOCKETS - coming, coming, life)
  local port = release.ports.endpoint
  sockets:open { port = port, interval = interval, count = SOCKETS - coming }
  sockets:open { port = port, interval = interval, count = coming, life = life }
end

open_sockets()
-- The node has as many names for us as connections of ours have overlapped: two, when we are back before it has seen us go.
connect():close()
print_columns(function(figure) return figure.column end)
soak(MINUTES * WARM_UP, false)
local before = census()
say("warm after %d rounds; the soak takes %g minutes", totals.rounds, MINUTES)
local lasted, message = xpcall(soak, debug.traceback, MINUTES, true)
print()
verdict("rounds", lasted, "%d", totals.rounds)
if not lasted then print(message) end
judge_sockets(sockets:drain(60000), totals.versions[OLD] or 0, totals.versions[NEW] or 0)
for _, figure in ipairs(FIGURES) do judge(figure) end
name_what_is_left(before, census())
print()
say(failures == 0 and "all is as it has to be" or "%d of these figures are wrong", failures)
os.exit(failures == 0, true)
