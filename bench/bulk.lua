-- How long suspending and resuming many processes takes, three ways on one node in one run: edeliver's algorithm inside the
-- node, a compiled loop inside the node (the limit), and ours from outside. Medians; the ratios are what counts.
-- And how long somebody else waits for a call meanwhile. Two million take 10 GB. lua5.4 bench/bulk.lua [--only N]

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;bench/?.lua;" .. package.path
local relup = require "edeliver.relup"
local measure = require "lib.measure"
local nodes = require "lib.nodes"

local SIZES = { 1000, 10000, 100000, 1000000, 2000000 }
local ROUNDS = { [1000] = 21, [10000] = 15, [100000] = 5, [1000000] = 3, [2000000] = 2 }
local WANTED = { from = 10000, over_edeliver = 3, over_loop = 1.5, growth = 1.2, bystander = 20, watched = 100000 }
local TIMEOUT = 60000

local atom = relup.term.atom
if arg[1] == "--only" then SIZES = { (assert(math.tointeger(arg[2]), "--only N")) } end

local waited = {} -- by size: ms

-- Each way suspends them all and resumes them all: two times in ms.
local function inside(node, way, set)
  return function()
    local times = {}
    for i, request in ipairs { "suspend", "resume" } do
      nodes.settle(node)
      times[i] = assert(node:call("bulk", way, { atom(request), set }, math.huge)) / 1000
    end
    return times[1], times[2]
  end
end

local function ours(node, set)
  return function(round)
    local times = {}
    for i, request in ipairs { "suspend", "resume" } do
      collectgarbage()
      nodes.settle(node)
      local bystander = #set >= WANTED.watched and assert(node:call("bulk", "bystander", {}))
      local answer
      times[i], answer = measure.timed(node["bulk_" .. request], node, set, TIMEOUT)
      assert(answer == "ok", answer)
      if bystander then
        waited[#set] = math.max(waited[#set] or 0, assert(node:call("bulk", "watched", { bystander })) / 1000)
      end
      if round == 1 then
        nodes.settle(node) -- a process answers just before it goes to sit where suspended ones are found
        assert(#assert(node:suspended(set, TIMEOUT)) == (request == "suspend" and #set or 0))
      end
    end
    return times[1], times[2]
  end
end

local report = measure.report()
local a_process = {} -- by size: microseconds of each way for one request to one process

local function one_size(node, count)
  local set = nodes.processes(node, count)
  local taken = measure.in_turn(
    { inside(node, "edeliver", set), inside(node, "loop", set), ours(node, set) }, ROUNDS[count] or 5)
  nodes.stop(node, set)
  a_process[count] = {}
  for i, request in ipairs { "suspend", "resume" } do
    local edeliver, loop, us = taken[1][i], taken[2][i], taken[3][i]
    a_process[count][request] = { edeliver = edeliver / count, loop = loop / count, ours = us / count }
    local wanted = count >= WANTED.from and {
      { "edeliver/ours", edeliver / us, "at least", WANTED.over_edeliver },
      { "ours/loop", us / loop, "at most", WANTED.over_loop },
    } or {}
    report:line(("%9d %8s %13.1f %13.1f %13.1f %14.2f %10.2f"):format(
      count, request, edeliver, loop, us, edeliver / us, us / loop), table.unpack(wanted))
  end
end

local started, node = nodes.start "bulk"
local _ <close> = started

print(("%9s %8s %13s %13s %13s %14s %10s"):format(
  "processes", "request", "edeliver, ms", "loop, ms", "ours, ms", "edeliver/ours", "ours/loop"))
for _, count in ipairs(SIZES) do one_size(node, count) end

local small, large = a_process[100000], a_process[1000000]
for _, request in ipairs { "suspend", "resume" } do
  if small and large then
    local grown = {}
    for way, cost in pairs(small[request]) do grown[way] = large[request][way] / cost end
    report:line(("%s: one of a million costs %.2f times one of 100,000 (edeliver %.2f, loop %.2f)"):format(
      request, grown.ours, grown.edeliver, grown.loop), { "growth", grown.ours, "at most", WANTED.growth })
  end
end
for _, count in ipairs(SIZES) do
  local p99 = waited[count]
  if p99 then
    report:line(("%d: of 100 calls of somebody else meanwhile, 99 took at most %.1f ms"):format(count, p99),
      { "a bystander's wait", p99, "at most", WANTED.bystander })
  end
end
report:exit()
