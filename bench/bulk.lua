-- How long resuming many suspended processes takes, three ways on one node in one run: edeliver's algorithm inside the node,
-- a compiled loop inside the node (the limit), and ours from outside. Medians of five; the ratios are what counts.
-- lua5.4 bench/bulk.lua [--million] [--only N]

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;" .. package.path
local relup = require "edeliver.relup"
local core = require "edeliver.relup.core"
local test_node = require "support.node"
local process = require "support.process"

local ROUNDS = 5
local WANTED = { over_edeliver = 3, over_loop = 1.5, bytes_a_pid = 40 }

local sizes, only = { 1000, 10000, 100000 }, nil
for i, word in ipairs(arg) do
  if word == "--million" then sizes[#sizes + 1] = 1000000 end
  if word == "--only" then only = math.tointeger(arg[i + 1]) end
end
if only then sizes = { only } end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

local function timed(f, ...)
  local before = core.now()
  local value, message = f(...)
  local took = core.now() - before
  return took, assert(value, message)
end

local function suspend(node, list)
  assert(node:call("bulk", "suspend", { list }, math.huge))
end

-- One size: the medians in ms of the three ways.
local function measure(node, count)
  local set = node:pids(assert(node:call("bulk", "start", { count }, math.huge)))
  local edeliver, loop, ours = {}, {}, {}
  for round = 1, ROUNDS do
    suspend(node, set)
    edeliver[round] = assert(node:call("bulk", "edeliver", { set }, math.huge)) / 1000
    suspend(node, set)
    loop[round] = assert(node:call("bulk", "loop", { set }, math.huge)) / 1000
    suspend(node, set)
    collectgarbage()
    local answer
    ours[round], answer = timed(node.bulk_resume, node, set, 60000)
    assert(answer == "ok", answer)
  end
  assert(#assert(node:suspended(set)) == 0)
  assert(node:cast("bulk", "stop", { set }))
  return median(edeliver), median(loop), median(ours)
end

-- What all that a sequence does with `count` processes adds to Lua's own memory, in bytes a pid. What the sets take beside it,
-- in C, is asserted by spec/core_spec.lua.
local function memory(node, count)
  local list = node:pids(assert(node:call("bulk", "start", { count }, math.huge)))
  collectgarbage() collectgarbage()
  local before = collectgarbage "count"
  local all = assert(node:processes())
  assert(node:bulk_suspend(list, 60000) == "ok")
  local suspended = assert(node:suspended(all, 60000))
  assert(#suspended == count)
  assert(node:bulk_resume(suspended, 60000) == "ok")
  collectgarbage() collectgarbage()
  local grown = (collectgarbage "count" - before) * 1024
  assert(node:cast("bulk", "stop", { list }))
  return math.max(grown, 0) / count
end

-- Microseconds a call: ours, and rpc:call from another node to the same one.
local function calls(node, other, count)
  local took = timed(function()
    for _ = 1, count do assert(node:call("erlang", "node")) end
    return true
  end)
  local theirs = assert(other:call("bulk", "empty_calls", { relup.term.atom(node.name), count }, math.huge))
  return took * 1000 / count, theirs / count
end

-- Megabytes a second, of a list of tuples of numbers, binaries and atoms: into Lua and out of it.
local function codec()
  local rows = {}
  for i = 1, 20000 do rows[i] = relup.term.tuple { i, "row " .. i, relup.term.atom "ok", { i, i + 0.5 } } end
  local bytes = core.encode(rows)
  local decoded = timed(function()
    for _ = 1, ROUNDS do assert(core.decode(bytes)) end
    return true
  end)
  local encoded = timed(function()
    for _ = 1, ROUNDS do core.encode(rows) end
    return true
  end)
  local megabytes = #bytes * ROUNDS / 1e6
  return megabytes / (decoded / 1000), megabytes / (encoded / 1000)
end

local folder = process.temporary_folder()
assert(os.execute(("erlc -o %s bench/bulk.erl"):format(process.quote(folder))))

local function start(name, cookie)
  local started = test_node.start { name = name, cookie = cookie, args = { "-pa", folder, "+P", "4000000" } }
  local node = assert(relup.connect(started.name, { cookie = started.cookie, epmd_port = started.epmd_port }))
  assert(node:call("code", "ensure_loaded", { relup.term.atom "bulk" }))
  return started, node
end

local started, node = start "bulk"
local other_started, other = start("other", started.cookie)
local _ <close> = started
local _ <close> = other_started
os.execute(("rm -r %s"):format(process.quote(folder)))

print(("%9s %14s %14s %14s %14s %12s"):format("processes", "edeliver, ms", "loop, ms", "ours, ms", "edeliver/ours", "ours/loop"))
local failed = false
for _, count in ipairs(sizes) do
  local edeliver, loop, ours = measure(node, count)
  local ok = count ~= 100000 or edeliver / ours >= WANTED.over_edeliver and ours / loop <= WANTED.over_loop
  failed = failed or not ok
  print(("%9d %14.1f %14.1f %14.1f %14.2f %12.2f%s"):format(count, edeliver, loop, ours, edeliver / ours, ours / loop,
    ok and "" or "   not as wanted"))
end

local in_lua = memory(node, 100000)
print(("a pid: %.1f bytes of Lua's memory"):format(in_lua))
print(("a call: %.0f us; rpc:call from another node: %.0f us"):format(calls(node, other, 5000)))
print(("terms: %.0f MB/s read, %.0f MB/s written"):format(codec()))
failed = failed or in_lua > WANTED.bytes_a_pid
os.exit(not failed, true)
