--- The first scene of tools/demo: a plain mix release with ten thousand processes is deployed, used and rolled back.
-- Every figure comes from the node itself, and a wrong one fails the demonstration.
--
--     lua5.4 spec/support/deploy_demo.lua [PROCESSES]

local depots = require "support.depot"
local process = require "support.process"

local items = math.tointeger(arg[1] or 10000)
local failures, started = 0, process.now()

local function say(text, ...)
  print(("%7.2f s  " .. text):format((process.now() - started) / 1000, ...))
  io.stdout:flush()
end

-- Runs the program as an operator does, and passes on what it prints.
local function run(depot, line)
  say("$ edeliver-relup %s", (line:gsub("NODE", depot.release.name):gsub(process.root .. "/", "")))
  local result = depot:run(line)
  for text in (result.out .. result.err):gmatch "[^\n]+" do say("  | %s", text) end
  if result.code ~= 0 then failures = failures + 1 end
end

-- Holds the node against a version.
local function is_whole(depot, version)
  local whole, problem = pcall(depot.is_whole, depot, version)
  if not whole then failures = failures + 1 end
  say("  %d states, protocol, children, applications, values are those of %s: %s", items, version, whole and "ok" or "WRONG")
  if not whole then print(problem) end
end

local function demonstrate(depot)
  local vm = depot.release:pid()
  say("depot 1.0.0 runs, started by bin/depot start, with %d processes", items)
  run(depot, ("NODE deploy %s"):format(depots.release "2.0.0"))
  is_whole(depot, "2.0.0")
  run(depot, "NODE rollback")
  is_whole(depot, "1.0.0")
  if depot.release:pid() ~= vm then failures = failures + 1 end
  say("  the VM is the same: %s", depot.release:pid() == vm and "ok" or "WRONG")
end

say "building the release in three versions, with mix, where that was not done before"
local depot <close> = depots.start { items = items }
demonstrate(depot)
depot:stop()
if failures > 0 then
  print(("%d WRONG"):format(failures))
  os.exit(1, true)
end
