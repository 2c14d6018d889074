-- Chaos: an accident by chance, at a moment by chance, to an upgrade or a downgrade of a real release with real websockets, with
-- the steps around the install or inside the relup. After each: nobody sits suspended, all acceptors run, the node is the same
-- unless it was killed, the relup on its disk too, and the operator was told what an observer on the node has written down.
--
-- Each round is decided by its seed alone: EDR_CHAOS_ROUNDS (60) of them from EDR_CHAOS_FIRST (1) on, or EDR_CHAOS_SEED alone,
-- once or for so many rounds.

local chaos = require "support.chaos"
local process = require "support.process"
local scenes = require "support.scene"

local function number(variable) return math.tointeger(tonumber(os.getenv(variable))) end

local first = number "EDR_CHAOS_SEED" or number "EDR_CHAOS_FIRST" or 1
local alone = number "EDR_CHAOS_SEED"
local rounds = number "EDR_CHAOS_ROUNDS" or alone and 1 or 60

-- What the node of a round that failed has printed, for whoever wants to know why: in the folder EDR_CHAOS_LOGS.
local function save_log(seed, printed)
  local folder = os.getenv "EDR_CHAOS_LOGS"
  if not folder then return end
  local file = assert(io.open(("%s/%d-%d.log"):format(folder, seed, os.time()), "w"))
  file:write(printed)
  file:close()
end

describe("chaos:", function()
  local scene
  local counts, started = {}, nil

  setup(function()
    scene = scenes.start { sockets = 60, args = { "+P", "2048" } }
    started = process.now()
  end)

  teardown(function()
    scene:stop()
    local words = {}
    for outcome, count in pairs(counts) do words[#words + 1] = ("%s: %d"):format(outcome, count) end
    table.sort(words)
    print(("\nchaos: %d rounds from seed %d in %.0f s; %s"):format(rounds, first, (process.now() - started) / 1000,
      table.concat(words, ", ")))
  end)

  for i = 0, rounds - 1 do
    local seed = alone or first + i
    local plan = chaos.plan(seed)
    it(("seed %d: %s"):format(seed, plan.text), function()
      scene = scene:fit()
      local played, outcome, problems, printed = pcall(chaos.round, scene, plan)
      if not played and chaos.gave_up(scene, plan) then
        problems, outcome = {}, "the node gave up"
      elseif not played then
        problems, printed, outcome = { outcome }, scene.release:printed():sub(-3000), "error"
      end
      counts[outcome] = (counts[outcome] or 0) + 1
      if #problems > 0 then
        save_log(seed, scene.release:printed())
        error(("EDR_CHAOS_SEED=%d tools/test lua spec/chaos_spec.lua: %s\n  %s\n%s"):format(
          seed, plan.text, table.concat(problems, "\n  "), printed), 0)
      end
    end)
  end
end)
