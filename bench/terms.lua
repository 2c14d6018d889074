-- How fast terms are read and written: into Lua values and out of them, beside a node, our core alone (reading only) and
-- jinterface, on the same bytes in one run. Megabytes a second of the external format, medians. Pids are read into a pid set.
-- lua5.4 bench/terms.lua

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;bench/?.lua;" .. package.path
local relup = require "edeliver.relup"
local core = require "edeliver.relup.core"
local measure = require "lib.measure"
local nodes = require "lib.nodes"
local process = require "support.process"

local SHAPES = { "rows", "integers", "binaries", "atoms", "maps", "relup", "pids" }
local ROUNDS = 9
local WANTED = { of_beam = 0.5 } -- of the speed of binary_to_term

local report = measure.report()
local started, node = nodes.start "terms"
local _ <close> = started
local folder = started.folder -- for our files, too: it goes when the node does

-- ---- the programs that are compared with, beside the node ----

-- Our core alone, as a C program; or nil and why not.
local function core_alone()
  local program = folder .. "/terms"
  local sources = { "bench/lib/terms.c" }
  for _, name in ipairs { "buf", "etf_decode", "etf_reader", "etf_scan", "status" } do
    sources[#sources + 1] = ("src/core/%s.c"):format(name)
  end
  local printed, built = process.output(("cc -std=c11 -O3 -DNDEBUG -D_POSIX_C_SOURCE=200809L -Isrc/core %s -o %s 2>&1"):format(
    table.concat(sources, " "), process.quote(program)))
  if not built then return nil, "the core alone could not be built: " .. printed end
  return process.quote(program)
end

-- jinterface; or nil and why not.
local function jinterface()
  local libraries = process.output "erl -noshell -boot start_clean -eval 'io:put_chars(code:lib_dir()), halt().'"
  local jar = process.output(("ls %s/jinterface-*/priv/OtpErlang.jar 2>/dev/null"):format(libraries)):match "[^\n]+"
  if not jar then return nil, "no jinterface here (Debian: apt-get install erlang-jinterface)" end
  local class_path = process.quote(jar .. ":" .. folder)
  local printed, built = process.output(("javac -cp %s -d %s bench/lib/Terms.java 2>&1"):format(
    class_path, process.quote(folder)))
  if not built then return nil, "no javac here (Debian: apt-get install default-jdk-headless): " .. printed end
  return ("java -cp %s Terms"):format(class_path)
end

-- Both are run with the name of a file and a number of rounds, and print the median microseconds of reading, and of writing.
local function run(command, path)
  local printed = process.output(("%s %s %d"):format(command, process.quote(path), ROUNDS))
  local reading, writing = printed:match "^(%S+) ?(%S*)"
  return assert(tonumber(reading), printed), tonumber(writing)
end

-- ---- one shape ----

-- Microseconds of reading and writing. The value of a shape is made anew each time, so that the collector always finds the same.
local function ours(shape, bytes)
  local read = shape == "pids" and function(b) return node:pids(b) end or core.decode
  return function()
    collectgarbage() collectgarbage()
    local reading, value = measure.timed(read, bytes)
    local writing = measure.timed(core.encode, value)
    return reading * 1000, writing * 1000
  end
end

local function beam(bytes)
  return function()
    return assert(node:call("inside", "decode", { bytes }, math.huge)),
      assert(node:call("inside", "encode", { bytes }, math.huge))
  end
end

local function number(speed) return speed and ("%.0f"):format(speed) or "-" end

local LINE = "%9s %5s %5s %9s %6s %6s %11s %10s %14s"

local function one_shape(shape, alone, java)
  local bytes = assert(node:call("inside", "term", { relup.term.atom(shape) }, math.huge))
  local path = folder .. "/" .. shape
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  local taken = measure.in_turn({ ours(shape, bytes), beam(bytes) }, ROUNDS)
  local alone_reading, java_reading, java_writing
  if alone then alone_reading = run(alone, path) end
  if java then java_reading, java_writing = run(java, path) end
  local function speed(us) return us and #bytes / us end -- bytes a microsecond are megabytes a second
  local function line(what, us, beams, alones, javas, ...)
    report:line(LINE:format(shape, ("%.1f"):format(#bytes / 1e6), what, number(speed(us)), number(speed(beams)),
      number(speed(alones)), number(speed(javas)), ("%.2f"):format(beams / us),
      javas and ("%.2f"):format(javas / us) or "-"), ...)
  end
  local us, beams = taken[1], taken[2]
  line("read", us[1], beams[1], alone_reading, java_reading,
    { "of binary_to_term", beams[1] / us[1], "at least", WANTED.of_beam })
  line("write", us[2], beams[2], nil, java_writing)
end

local alone, problem = core_alone()
if not alone then print(problem) end
local java
java, problem = jinterface()
if not java then print(problem) end
print(LINE:format("MB/s", "MB", "", "ours, Lua", "beam", "core", "jinterface", "ours/beam", "ours/jinterface"))
for _, shape in ipairs(SHAPES) do one_shape(shape, alone, java) end
report:exit()
