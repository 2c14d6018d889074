-- Comparing two releases of 1,000 modules (25 MB): ours beside beam_lib:cmp_dirs on the same folders, medians of three,
-- in milliseconds of the processor: other programs on the machine count less that way.
-- lua5.4 bench/plan.lua

package.path = "lua/?.lua;lua/?/init.lua;bench/?.lua;" .. package.path
local measure = require "lib.measure"
local plan = require "edeliver.relup.plan"
local release = require "edeliver.relup.release"

local MODULES, CHANGED, ROUNDS = 1000, 50, 3

local function output(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local folder = output "mktemp -d":match "%S+"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  file:write(bytes)
end

-- Modules of this machine's Erlang and Elixir, some twice where there are too few: their names do not matter here.
local function modules_here()
  local root = output [[erl -noshell -boot start_clean -eval 'io:put_chars(code:lib_dir()), halt().']]
  local paths = {}
  for path in output(("ls %s/*/ebin/*.beam /usr/lib/elixir/lib/*/ebin/*.beam 2>/dev/null"):format(root)):gmatch "%S+" do
    paths[#paths + 1] = path
  end
  return paths
end

-- Another number of labels in the code's head: other code to whoever compares it, and still a sound file.
local function changed(bytes)
  local at = 13
  while bytes:sub(at, at + 3) ~= "Code" do
    local size = string.unpack(">I4", bytes, at + 4)
    at = at + 8 + size + -size % 4
  end
  local last = at + 8 + 15
  return bytes:sub(1, last - 1) .. string.char(bytes:byte(last) ~ 4) .. bytes:sub(last + 1)
end

-- The modules that change: none with a struct, whose change would have the states of all servers looked at, too.
local function changing(sources)
  local chosen, count, at = {}, 0, 0
  while count < CHANGED do
    at = at + MODULES // CHANGED
    local i = (at - 1) % MODULES + 1
    while chosen[i] or sources[(i - 1) % #sources + 1]:find("__struct__", 1, true) do i = i % MODULES + 1 end
    chosen[i], count = true, count + 1
  end
  return chosen
end

local function make(version, sources)
  local root, chosen = ("%s/%s"):format(folder, version), changing(sources)
  local ebin, names, size = ("%s/lib/bench-%s/ebin"):format(root, version), {}, 0
  assert(os.execute(("mkdir -p %s %s/releases/%s"):format(ebin, root, version)))
  for i = 1, MODULES do
    local bytes = sources[(i - 1) % #sources + 1]
    if version == "2" and chosen[i] then bytes = changed(bytes) end
    names[i] = "m" .. i
    write(("%s/m%d.beam"):format(ebin, i), bytes)
    size = size + #bytes
  end
  write(ebin .. "/bench.app", ('{application,bench,[{vsn,"%s"},{modules,[%s]}]}.\n'):format(version, table.concat(names, ",")))
  write(("%s/releases/%s/bench.rel"):format(root, version),
    ('{release,{"bench","%s"},{erts,"1"},[{bench,"%s"}]}.\n'):format(version, version))
  return root, ebin, size
end

local sources = {}
for i, path in ipairs(modules_here()) do sources[i] = read(path) end
local old, old_ebin, size = make("1", sources)
local new, new_ebin = make("2", sources)
for root, name in pairs { [old] = "old", [new] = "new" } do
  assert(os.execute(("tar -C %s -czf %s/%s.tar.gz ."):format(root, folder, name)))
end

local function digests(a, b)
  local before = os.clock()
  assert(release.open(a))
  assert(release.open(b))
  return (os.clock() - before) * 1000
end

local function whole(a, b)
  local before = os.clock()
  local made = assert(plan.compare(a, b))
  assert(#made.modules.changed == CHANGED, #made.modules.changed)
  return (os.clock() - before) * 1000
end

local function erlang()
  local text = output(([[erl -noshell -boot start_clean -eval '
    {_, _} = statistics(runtime), {_, _, D} = beam_lib:cmp_dirs("%s", "%s"), {_, T} = statistics(runtime),
    %d = length(D), io:format("~b", [T]), halt().']])
    :format(old_ebin, new_ebin, CHANGED))
  return assert(tonumber(text), text)
end

local report = measure.report()
local taken = measure.in_turn({
  function() return digests(old, new) end,
  function() return whole(old, new) end,
  function() return whole(folder .. "/old.tar.gz", folder .. "/new.tar.gz") end,
  erlang,
}, ROUNDS)
local read_ms, plan_ms, tarball_ms, erlang_ms = taken[1][1], taken[2][1], taken[3][1], taken[4][1]
os.execute("rm -rf " .. folder)

print(("%d modules, %.1f MB, %d changed"):format(MODULES, size / 1e6, CHANGED))
report:line(("both releases read       %6.0f ms"):format(read_ms))
report:line(("the plan, folders        %6.0f ms"):format(plan_ms), { "ms", plan_ms, "at most", 500 })
report:line(("the plan, tarballs       %6.0f ms"):format(tarball_ms))
report:line(("beam_lib:cmp_dirs        %6.0f ms   %.1f times as long as the plan"):format(erlang_ms, erlang_ms / plan_ms),
  { "ratio", erlang_ms / plan_ms, "at least", 3 })
report:exit()
