-- How long processes stand still while their modules get new code, three ways on one node in one run: OTP's engine with a script
-- as systools makes it, the swap, and the limit: compiled loops in the node around finish_loading. Medians; the ratios are what
-- counts. lua5.4 bench/swap.lua [--only PROCESSES [MODULES]]

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;bench/?.lua;" .. package.path
local fuse = require "edeliver.relup.script.fuse"
local guard = require "edeliver.relup.undo.guard"
local measure = require "lib.measure"
local nodes = require "lib.nodes"
local process = require "support.process"
local relup = require "edeliver.relup"
local swap = require "edeliver.relup.step.swap"

local SIZES, MODULES = { 1000, 10000, 100000, 1000000 }, { 1, 50, 200 }
local ROUNDS = { [1000] = 7, [10000] = 5, [100000] = 3, [1000000] = 3 }
local WANTED = { at = 100000, modules = 50, over_otp = 30, over_limit = 1.5, bystander = 20, million = 5000 }
-- OTP's engine purges in the stop, which asks every process about every module: minutes, beyond this.
local TOO_LONG = 10000000 -- processes times modules

if arg[1] == "--only" then
  SIZES = { (assert(math.tointeger(arg[2]), "--only PROCESSES")) }
  if arg[3] then MODULES = { (assert(math.tointeger(arg[3]))) } end
end

local term = relup.term
local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist
local FIRST = atom "swapped_1"

-- The script that systools makes of an update of the first module and a load of each other.
local function script(version, count)
  local modules, made = {}, {}
  for i = 1, count do modules[i] = atom("swapped_" .. i) end
  local function add(instruction) made[#made + 1] = instruction end
  local function load(module) add(tuple { atom "load", tuple { module, atom "brutal_purge", atom "brutal_purge" } }) end
  add(tuple { atom "load_object_code", tuple { atom "swapped", charlist(version), list(modules) } })
  add(atom "point_of_no_return")
  add(tuple { atom "suspend", list { FIRST } })
  load(FIRST)
  add(tuple { atom "code_change", atom "up", list { tuple { FIRST, list {} } } })
  add(tuple { atom "resume", list { FIRST } })
  for i = 2, count do load(modules[i]) end
  return list(made)
end

local function otp(node, version, count)
  local took = assert(node:call("swapping", "otp", { script(version, count) }, math.huge))
  assert(math.type(took), tostring(took))
  return took / 1000
end

-- Where in a swap something was, by the time from when its new code was loaded.
local function phase_of(report, at)
  local loaded = (at - report.at) / 1000
  if loaded < -(report.load + report.suspend) then return "prepared" end
  if loaded < report.change + report.resume then return "stopped" end
  return "purged"
end

-- The whole of a swap; gives how long processes stood still, how long a bystander did and when, and the swap's report.
local function ours(node, version, count, first)
  local fused = assert(fuse.script(script(version, count)))
  local watcher = assert(node:call("swapping", "watch", {}))
  local watched = assert(guard.start(node))
  local prepared = assert(swap.prepare(node, {
    guard = watched.pid, token = watched.token, stops = fused.stops, timeout = 60000,
  }))
  assert(prepared:arm(node:pids {}))
  assert(math.type(assert(node:call("swapping", "otp", { fused.script }, math.huge))))
  local report = assert(prepared:reports())[1]
  assert(report.outcome == "ok" and #report.restarted == 0, tostring(report.reason))
  assert(prepared:leave())
  local state = assert(node:call("gen_server", "call", { first, atom "state" }))
  assert(tostring(state[2]) == version, "the state was not changed")
  repeat node:sleep(20) until node:call("erlang", "whereis", { atom(fuse.NAME) }) == atom "undefined"
  local gap = assert(node:call("swapping", "watched", { watcher }))
  assert(watched:leave())
  report.held_up = phase_of(report, gap[2])
  return report.stand_still, gap[1] / 1000, report
end

local report = measure.report()
local PARTS = { "suspend", "load", "change", "resume" }

local function one(node, folder, count, modules)
  local set = assert(node:pids(assert(node:call("swapping", "start", { charlist(folder), modules, count }, math.huge))))
  local limits, swaps, engine, gaps, held_up, beside, parts = {}, {}, {}, {}, {}, {}, {}
  local version = "1"
  local function flip()
    version = version == "1" and "2" or "1"
    nodes.settle(node)
    return version
  end
  for round = 1, ROUNDS[count] or 3 do
    local to = flip()
    local watcher = assert(node:call("swapping", "watch", {}))
    local times = assert(node:call("swapping", "limit", { charlist(folder), set, modules, charlist(to) }, math.huge))
    limits[round], beside[round] = times[1] / 1000, assert(node:call("swapping", "watched", { watcher }))[1] / 1000
    local one_report
    swaps[round], gaps[round], one_report = ours(node, flip(), modules, set[1])
    held_up[round] = one_report.held_up
    for _, part in ipairs(PARTS) do
      parts[part] = parts[part] or {}
      parts[part][round] = one_report[part]
    end
    if count * modules <= TOO_LONG and (round == 1 or count < 100000) then engine[#engine + 1] = otp(node, flip(), modules) end
  end
  assert(node:call("swapping", "stop", {}, math.huge))
  nodes.settle(node)
  local limit, us, gap = measure.median(limits), measure.median(swaps), measure.median(gaps)
  local them = #engine > 0 and measure.median(engine)
  local wanted = {}
  if count == WANTED.at and modules == WANTED.modules then
    wanted = { { "OTP/ours", them and them / us or 0, "at least", WANTED.over_otp }, { "ours/limit", us / limit, "at most",
      WANTED.over_limit }, { "bystander", gap, "at most", WANTED.bystander } }
  elseif count == 1000000 then
    wanted = { { "ours", us, "at most", WANTED.million } }
  end
  local split = {}
  for i, part in ipairs(PARTS) do split[i] = ("%.1f"):format(measure.median(parts[part])) end
  report:line(("%9d %7d %12s %10.1f %10.1f %9s %10.2f %12.1f %8.1f   %s; %s"):format(count, modules,
    them and ("%.1f"):format(them) or "-", us, limit, them and ("%.1f"):format(them / us) or "-", us / limit, gap,
    measure.median(beside), table.concat(split, " + "), table.concat(held_up, ", ")), table.unpack(wanted))
end

local started, node = nodes.start "swap"
local _ <close> = started
local folder = process.temporary_folder()
assert(node:call("swapping", "build", { charlist(folder), 200 }, math.huge))

print(("%9s %7s %12s %10s %10s %9s %10s %12s %8s   %s; when the bystander was"):format("processes", "modules", "OTP's, ms",
  "ours, ms", "limit, ms", "OTP/ours", "ours/limit", "bystander, ms", "limit's", table.concat(PARTS, " + ")))
for _, count in ipairs(SIZES) do
  for _, modules in ipairs(MODULES) do one(node, folder, count, modules) end
end
process.remove_folder(folder)
report:exit()
