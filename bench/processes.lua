-- What it costs to know many processes: the list of all of them, process_info of all of them, and who sits suspended, from
-- outside and inside the node in one run; and how much memory a pid set takes, of Lua's own and of the whole program.
-- lua5.4 bench/processes.lua [--only N]

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;bench/?.lua;" .. package.path
local relup = require "edeliver.relup"
local measure = require "lib.measure"
local nodes = require "lib.nodes"

local SIZES = { 100000, 1000000 }
local ROUNDS = { [100000] = 7, [1000000] = 3 }
local ITEMS = { "message_queue_len", "current_function" }
local SETS = 8 -- so many are held at once while memory is measured
local WANTED = { bytes_a_pid = 40 }
local TIMEOUT = 120000

local atom = relup.term.atom
if arg[1] == "--only" then SIZES = { (assert(math.tointeger(arg[2]), "--only N")) } end

local report = measure.report()

local function inside(node, fun, arguments)
  return function()
    nodes.settle(node)
    return assert(node:call("inside", fun, arguments, math.huge)) / 1000
  end
end

local function ours(node, method, ...)
  local arguments = table.pack(...)
  return function()
    collectgarbage()
    nodes.settle(node)
    return (measure.timed(node[method], node, table.unpack(arguments)))
  end
end

local function times(node, set)
  local items = {}
  for i, item in ipairs(ITEMS) do items[i] = atom(item) end
  local questions = {
    { "processes", inside(node, "processes", {}), ours(node, "processes", TIMEOUT) },
    { "process_info", inside(node, "process_info", { set, items }), ours(node, "process_info", set, ITEMS, TIMEOUT) },
    { "suspended", inside(node, "suspended", { set }), ours(node, "suspended", set, TIMEOUT) },
  }
  print(("%9s %14s %13s %13s %12s"):format("processes", "question", "inside, ms", "ours, ms", "ours/inside"))
  for _, question in ipairs(questions) do
    local name, theirs, us = table.unpack(question)
    local taken = measure.in_turn({ theirs, us }, ROUNDS[#set] or 5)
    local within, without = taken[1][1], taken[2][1]
    report:line(("%9d %14s %13.1f %13.1f %12.2f"):format(#set, name, within, without, without / within))
  end
end

-- Bytes of Lua's own memory and of the program: those that are in memory now.
local function memory()
  collectgarbage() collectgarbage()
  local file = assert(io.open "/proc/self/statm")
  local pages = math.tointeger(file:read("a"):match "^%d+ (%d+)")
  file:close()
  return collectgarbage "count" * 1024, pages * 4096
end

-- What pid sets of all processes take, and what all that a sequence does with them leaves behind. The first set, which is not
-- counted, has made room for the answer of the node, which the others use again.
local function sizes(node, set)
  local first <const> = assert(node:processes(TIMEOUT))
  local lua_before, all_before = memory()
  local sets, pids = {}, 0
  for i = 1, SETS do
    sets[i] = assert(node:processes(TIMEOUT))
    pids = pids + #sets[i]
  end
  local lua_after, all_after = memory()
  local in_lua, in_all = (lua_after - lua_before) / pids, (all_after - all_before) / pids
  report:line(("%9d pids in a set: %.1f bytes a pid of Lua's memory, %.1f of the whole program"):format(#first, in_lua, in_all),
    { "Lua's", in_lua, "at most", WANTED.bytes_a_pid }, { "the program's", in_all, "at most", WANTED.bytes_a_pid })

  lua_before = memory()
  assert(node:bulk_suspend(set, TIMEOUT) == "ok")
  nodes.settle(node)
  local suspended = assert(node:suspended(first, TIMEOUT))
  assert(#suspended == #set)
  assert(node:bulk_resume(suspended, TIMEOUT) == "ok")
  lua_after = memory()
  local grown = math.max(lua_after - lua_before, 0) / #set
  report:line(("%9d suspended, looked for and resumed: %.1f bytes a pid of Lua's memory"):format(#set, grown),
    { "Lua's", grown, "at most", WANTED.bytes_a_pid })
end

local started, node = nodes.start "processes"
local _ <close> = started

for _, count in ipairs(SIZES) do
  local set = nodes.processes(node, count)
  sizes(node, set) -- before anything else, whose memory sets would take over
  times(node, set)
  nodes.stop(node, set)
end
report:exit()
