-- What sending a release takes: ours beside a plain TCP copy of as many bytes, from the same process to the same node, in turn.
-- Wanted: at least half as quick as the copy. lua5.4 bench/ship.lua

package.path = "lua/?.lua;lua/?/init.lua;bench/?.lua;spec/?.lua;" .. package.path
local core = require "edeliver.relup.core"
local measure = require "lib.measure"

local BYTES, ROUNDS = 200 << 20, 3

local function write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  file:write(bytes)
end

-- The release: one file of noise, or thousands of small ones; its name differs each time, so that the node lacks it.
local function make(folder, files)
  local root = folder .. "/new"
  local priv = root .. "/lib/bench-2/priv"
  assert(os.execute(("rm -rf %s && mkdir -p %s %s/lib/bench-2/ebin %s/releases/2"):format(root, priv, root, root)))
  write(root .. "/lib/bench-2/ebin/bench.app", '{application,bench,[{vsn,"2"},{modules,[]}]}.\n')
  write(root .. "/releases/2/bench.rel", '{release,{"bench","2"},{erts,"1"},[{bench,"2"}]}.\n')
  local noise <close> = assert(io.open("/dev/urandom", "rb"))
  local each = BYTES // files
  for i = 1, files do write(("%s/%d"):format(priv, i), noise:read(each)) end
  return root
end

-- The second program: its standard input and output are the connection of the plain copy.
local function sender(name, cookie, epmd_port, folder, sync)
  local relup = require "edeliver.relup"
  local release_of = require "edeliver.relup.release"
  local ship = require "edeliver.relup.deploy.ship"
  local node <close> = assert(relup.connect(name, { cookie = cookie, epmd_port = tonumber(epmd_port) }))
  io.stdout:setvbuf "no"
  local function copy(root)
    local started = core.now()
    local pipe <close> = assert(io.popen(("ls %s/lib/bench-2/priv/*"):format(root)))
    io.stdout:write(string.pack(">I8", BYTES))
    for path in pipe:lines() do
      local file <close> = assert(io.open(path, "rb"))
      for bytes in function() return file:read(1 << 20) end do assert(io.stdout:write(bytes)) end
    end
    assert(io.stdin:read(1) == ".")
    return core.now() - started
  end
  local function ours(root)
    local compared = assert(ship.compare(node, assert(release_of.open(root))))
    local started = core.now()
    local shipped = assert(ship.send(node, compared))
    local took = core.now() - started
    assert(ship.take_back(node, shipped))
    return took
  end
  local missed = 0
  for _, files in ipairs { 1, 4096 } do
    local root = make(folder, files)
    copy(root)
    ours(root)
    local taken = measure.in_turn({ function() return copy(root) end, function() return ours(root) end }, ROUNDS)
    local ratio = taken[1][1] / taken[2][1]
    local text = ("%d MB in %d files, %s: a plain copy %.0f ms (%.0f MB/s), ours %.0f ms (%.0f MB/s), %.2f of its rate"):format(
      BYTES >> 20, files, sync == "true" and "both synced" or "the copy not synced", taken[1][1], BYTES / 1048.576 / taken[1][1],
      taken[2][1], BYTES / 1048.576 / taken[2][1], ratio)
    local wanted = ratio >= 0.5 or files > 1
    missed = missed + (wanted and 0 or 1)
    io.stderr:write(text, wanted and "" or "   not as wanted: at least 0.5", "\n")
  end
  os.exit(missed == 0)
end

if arg[1] then sender(table.unpack(arg)) end

local process = require "support.process"
local releases = require "support.releases"
local term = require "edeliver.relup.term"

local folder = process.temporary_folder()
local started <close> = releases.start(releases.copy("1.0.0", folder))
local node <close> = assert(require("edeliver.relup").connect(started.name,
  { cookie = started.cookie, epmd_port = started.epmd_port }))
assert(os.execute(("erlc -o %s bench/copying.erl"):format(process.quote(folder))))
assert(node:eval('{module, copying} = code:load_abs(Path).', { Path = term.charlist(folder .. "/copying") }))
local good = true
for _, sync in ipairs { "true", "false" } do
  local port = assert(node:call("copying", "listen", { term.charlist(folder .. "/copied"), sync == "true" }))
  local command = ("exec 7<>/dev/tcp/127.0.0.1/%d; exec lua5.4 bench/ship.lua %s %s %d %s %s <&7 >&7"):format(port, started.name,
    started.cookie, started.epmd_port, folder, sync)
  good = os.execute("bash -c " .. process.quote(command)) and good
end
process.remove_folder(folder)
os.exit(good, true)
