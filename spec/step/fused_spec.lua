-- Generated relups, by OTP's own engine on one node and by the swap on another: the code that is loaded, the states, and the
-- order of what happened are the same after each, up and down. FUSED_SEED and FUSED_ROUNDS choose which, and how many.

local fuse = require "edeliver.relup.script.fuse"
local supervision_trees = require "edeliver.relup.otp.supervision_trees"
local swapped = require "support.swapped"
local term = require "edeliver.relup.term"

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist
local SEED = math.tointeger(os.getenv "FUSED_SEED") or 20261126
local ROUNDS = math.tointeger(os.getenv "FUSED_ROUNDS") or 16

local WITH_PROCESSES = { "a", "b", "c", "special", "handler", "tree" }
local WITHOUT = { "library", "extra" }
local PURGES = { "soft_purge", "brutal_purge" }

local random -- of a seed of its own, since busted has one, too
local function seeded(seed)
  local state = seed
  return function(most)
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) % most + 1
  end
end

local function chance(percent) return random(100) <= percent end
local function shuffled(items)
  local made = table.pack(table.unpack(items))
  for i = #made, 2, -1 do
    local k = random(i)
    made[i], made[k] = made[k], made[i]
  end
  return made
end

local function module(name) return atom("swapped_" .. name) end
local function modules(names)
  local made = {}
  for i, name in ipairs(names) do made[i] = module(name) end
  return list(made)
end
local function reversed(items)
  local made = {}
  for i = #items, 1, -1 do made[#made + 1] = items[i] end
  return made
end

-- The instructions of some modules that have processes.
local function changed(names, up, add, load, mark)
  local style = random(4)
  if style == 1 then
    for _, name in ipairs(names) do load(name) end
    return
  end
  local changes = {}
  for i, name in ipairs(names) do changes[i] = tuple { module(name), chance(50) and list {} or atom("extra_" .. name) } end
  local function change() add(tuple { atom "code_change", atom(up and "up" or "down"), list(changes) }) end
  local static = up or chance(40)
  for _, name in ipairs(names) do static = static or name == "tree" end
  add(tuple { atom "suspend", modules(names) })
  if style > 2 and not static then change() end
  for _, name in ipairs(names) do load(name) end
  if chance(10) then mark() end -- which may not be part of a swap
  if style > 2 and static then change() end
  add(tuple { atom "resume", modules(chance(50) and names or reversed(names)) })
end

local function generate(version, up)
  local made, objects, marks = {}, {}, 0
  local function add(instruction) made[#made + 1] = instruction end
  local function load(name)
    objects[#objects + 1] = name
    local purge = atom(PURGES[random(2)])
    add(tuple { atom "load", tuple { module(name), purge, atom(PURGES[random(2)]) } })
  end
  local function mark()
    marks = marks + 1
    add(tuple { atom "apply", tuple { atom "swapped_trail", atom "mark", list { marks } } })
  end
  local left = shuffled(WITH_PROCESSES)
  while #left > random(3) - 1 do
    local names = {}
    for _ = 1, math.min(#left, random(3)) do names[#names + 1] = table.remove(left) end
    changed(names, up, add, load, mark)
    if chance(25) then mark() end
    if chance(10) then add(tuple { atom "purge", modules { names[1] } }) end
    if chance(15) then
      add(tuple { atom "stop", modules { "a" } })
      add(tuple { atom "start", modules { "a" } })
    end
  end
  for _, name in ipairs(shuffled(WITHOUT)) do
    if name == "extra" and chance(40) then
      add(tuple { atom "remove", tuple { module(name), atom "brutal_purge", atom "brutal_purge" } })
      if chance(50) then add(tuple { atom "purge", modules { name } }) end
    elseif chance(70) then
      load(name)
    end
  end
  local head = { tuple { atom "load_object_code", tuple { atom "swapped", charlist(version), modules(objects) } } }
  if chance(30) then head[#head + 1] = tuple { atom "apply", tuple { atom "swapped_trail", atom "mark", list { 0 } } } end
  head[#head + 1] = atom "point_of_no_return"
  return list(table.move(made, 1, #made, #head + 1, head))
end

-- Between two calls all of a swap happens at once, so its changes have no order of their own.
local function in_sections(trail)
  local made, section = {}, {}
  local function close()
    table.sort(section)
    made[#made + 1] = table.concat(section, "\n")
    section = {}
  end
  for _, what in ipairs(trail) do
    local text = term.format(what)
    if tostring(what[1]) == "mark" then
      close()
      made[#made + 1] = text
    else
      section[#section + 1] = text
    end
  end
  close()
  return table.concat(made, "\n--\n")
end

describe("a fused relup", function()
  local otp, ours

  setup(function()
    otp, ours = swapped.start(), swapped.start()
    otp:start_application()
    ours:start_application()
  end)

  teardown(function()
    otp:stop_all()
    ours:stop_all()
  end)

  local function picture(scene)
    return term.format(assert(scene.node:call("swapped_trail", "picture", {}))),
      in_sections(assert(scene.node:call("swapped_trail", "trail", {})))
  end

  local function install(scene, script, version)
    return scene.node:call("swapped_trail", "install", { script, charlist(version), charlist(scene.folder) }, 60000)
  end

  local function swap(script, version)
    local fused = assert(fuse.script(script))
    local suspended = {}
    for _, stop in ipairs(fused.stops) do table.move(stop.suspend, 1, #stop.suspend, #suspended + 1, suspended) end
    local _, _, _, named = supervision_trees.walk(ours.node, suspended)
    local prepared, watched = assert(ours:prepare(fused.stops, { named = assert(named) }))
    assert(prepared:arm(ours.node:pids {}))
    local answer = install(ours, fused.script, version)
    local reports = assert(prepared:reports())
    assert(prepared:leave())
    watched:leave()
    ours:wait_until_gone()
    assert.equal(#fused.stops, #reports)
    for _, report in ipairs(reports) do
      assert.equal("ok", report.outcome, tostring(report.reason))
      assert.equal(0, #report.restarted)
    end
    return answer, #fused.stops
  end

  it("leaves the same code, states and order behind as OTP's engine does", function()
    local stops, ok = 0, atom "ok"
    for round = 1, ROUNDS do
      random = seeded(SEED + round)
      random(2)
      local up = round % 2 == 1
      local version = up and "2" or "1"
      local script = generate(version, up)
      local what = ("round %d of FUSED_SEED=%d: %s"):format(round, SEED, term.format(script))
      assert.equal(ok, install(otp, script, version), what)
      local answer, swaps = swap(script, version)
      assert.equal(ok, answer, what)
      stops = stops + swaps
      local state, trail = picture(otp)
      local our_state, our_trail = picture(ours)
      assert.equal(state, our_state, what)
      assert.equal(trail, our_trail, what)
      assert.equal(0, #assert(ours.node:suspended()), what)
    end
    assert.is_true(stops >= ROUNDS // 2, "too little of it was swapped to say anything")
  end)
end)
