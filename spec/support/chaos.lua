--- Rounds of chaos: what a seed stands for, and how it is played on a scene (spec/chaos_spec.lua).

local journal = require "edeliver.relup.undo.journal"
local process = require "support.process"
local recovery = require "edeliver.relup.recover"
local scenes = require "support.scene"
local verdict = require "support.verdict"

local chaos = {}

local LEASE, GRACE = 300, 150 -- ms
local LONG = LEASE + LEASE // 3 + GRACE + 700 -- after that the guard has undone everything, and left

-- Choosing -------------------------------------------------------------------------------------------------------------

-- Names and weights.
local FAULTS = {
  { "TERM", 3 }, { "INT", 3 }, { "HUP", 2 }, { "QUIT", 2 }, { "KILL", 5 }, { "INT INT", 2 }, { "STOP", 8 },
  { "silence", 10 }, { "cut", 4 }, { "reset", 5 }, { "guard", 5 }, { "acceptors' supervisor", 3 }, { "full table", 5 },
  { "second operator", 4 }, { "recover", 4 }, { "node killed", 2 }, { "nothing", 1 },
}
local LINK = { silence = true, cut = true, reset = true }
local STEPS, CHECKS, ACTS, ACTS_IN_RELUP = 10, 3, { "acceptors", "suspend" }, { "relup", "acceptors", "suspend" }

local function chosen(faults)
  local total = 0
  for _, fault in ipairs(faults) do total = total + fault[2] end
  local left = math.random(total)
  for _, fault in ipairs(faults) do
    left = left - fault[2]
    if left <= 0 then return fault[1] end
  end
end

local function draw_fault()
  local hold = math.random() < 0.5 and math.random(20, LEASE // 2) or math.random(LONG, LONG + 400)
  return { name = chosen(FAULTS), hold = hold }
end

local function describe(plan)
  local words = { plan.up and "up" or "down", plan.mode == "install" and "steps inside" or "steps around",
    plan.engine }
  local moment = ("%d ms after the beginning"):format(plan.at or 0)
  if plan.after then moment = ("after step %d%s"):format(plan.after, plan.pass == 2 and " of the install" or "") end
  if plan.before then moment = "before the act " .. plan.before end
  words[#words + 1] = moment
  for i, fault in ipairs(plan.faults) do
    words[#words + 1] = ("%s%s for %d ms"):format(i > 1 and ("and %d ms later "):format(plan.pause) or "", fault.name, fault.hold)
  end
  return table.concat(words, ", ")
end

--- What a seed stands for: the same whenever it is asked for.
-- @tparam integer seed
-- @return `{ seed =, text = in words, up = boolean, mode = "run" | "install", engine = "otp" | "swap",
-- after = step (pass = 1 | 2) | before = act | at = ms, faults = one or two of { name =, hold = ms }, pause = ms between them }`
function chaos.plan(seed)
  math.randomseed(seed, 0)
  for _ = 1, 32 do math.random() end -- small seeds begin alike
  local plan = { seed = seed, up = math.random() < 0.5, mode = math.random() < 0.5 and "run" or "install" }
  local moment = math.random()
  if moment < 0.5 then
    plan.after = math.random(0, STEPS)
    -- On the way down check_install_release evaluates nothing.
    plan.pass = plan.mode == "install" and plan.up and plan.after < CHECKS and math.random(2) or nil
  elseif moment < 0.75 then
    local acts = plan.mode == "install" and ACTS_IN_RELUP or ACTS
    plan.before = acts[math.random(#acts)]
  else
    plan.at = math.random(0, 300)
  end
  plan.faults = { draw_fault() }
  if math.random() < 0.3 then plan.faults[2] = draw_fault() end
  plan.pause = math.random(0, 200)
  plan.engine = plan.mode == "run" and math.random() < 0.5 and "swap" or "otp"
  plan.text = describe(plan)
  math.randomseed(os.time(), math.tointeger(process.now() // 1))
  return plan
end

-- Playing --------------------------------------------------------------------------------------------------------------

local begin, finish = {}, {}

for _, name in ipairs { "TERM", "INT", "HUP", "QUIT", "KILL" } do
  begin[name] = function(round) round.operator.process:signal(name) end
end

begin["INT INT"] = function(round)
  begin.INT(round)
  begin.INT(round)
end

function begin.STOP(round) round.operator.process:signal "STOP" end
function finish.STOP(round) round.operator.process:signal "CONT" end
function begin.silence(round) round.between:silence() end
function finish.silence(round) round.between:heal() end
function begin.cut(round) round.between:cut() end
function finish.cut(round) round.between:heal() end
function begin.reset(round) round.between:reset() end
function begin.guard(round) pcall(round.scene.kill_guard, round.scene) end

begin["acceptors' supervisor"] = function(round)
  local site = require("edeliver.relup.web").find(round.scene.node, "chat")
  local sup = site and site.listeners[1].acceptors_sup
  round.listener = site and site.listeners[1].pid
  if sup then round.scene.node:call("erlang", "exit", { sup, require("edeliver.relup.term").atom "kill" }) end
  round.scene.crashed_at = process.now()
end

begin["full table"] = function(round, fault) pcall(round.scene.fill_process_table, round.scene, fault.hold) end

begin["second operator"] = function(round)
  round.others[#round.others + 1] = round.scene:operate {
    fault = "none", after = 0, document = true, user = "bob", lease = LEASE, grace = GRACE,
  }
end

begin.recover = function(round)
  local node <close> = round.scene:connect()
  local path = process.read_file(round.operator.journal) and round.plan.seed % 2 == 0 and round.operator.journal or nil
  local done, result, message, code = pcall(recovery.run, node, path, { log = function() end })
  if not done then
    round.problems[#round.problems + 1] = "recover raised: " .. tostring(result)
  elseif result and not result.ok then
    round.problems[#round.problems + 1] = "recover could not undo everything"
  elseif not result and not (code == "busy" or code == "journal" or round.has["full table"] or round.has["node killed"]) then
    round.problems[#round.problems + 1] = ("recover failed: %s (%s)"):format(message, code)
  end
end

begin["node killed"] = function(round) round.scene.release:signal "KILL" end
finish["node killed"] = function(round)
  round.scene.release:start_again()
  round.scene:connect_again()
end

function begin.nothing() end

-- Both at once hold on to the same thing.
local CLASH = { silence = "link", cut = "link", reset = "link", ["node killed"] = "node", ["full table"] = "node",
  recover = "node", ["acceptors' supervisor"] = "node", guard = "node", ["second operator"] = "node" }

local function second_of(plan)
  local one, other = plan.faults[1], plan.faults[2]
  if not other or CLASH[one.name] and CLASH[one.name] == CLASH[other.name] then return nil end
  return other
end

-- From the moment on: the faults begin, the operator acts, the faults end.
local function play(round)
  local plan, operator = round.plan, round.operator
  local one, other = plan.faults[1], second_of(plan)
  begin[one.name](round, one)
  if not plan.at then operator:go() end
  process.sleep(math.min(plan.pause, one.hold))
  if other then begin[other.name](round, other) end
  process.sleep(math.max(0, one.hold - plan.pause))
  if finish[one.name] then finish[one.name](round) end
  if other and finish[other.name] then
    process.sleep(math.max(0, other.hold - math.max(0, one.hold - plan.pause)))
    finish[other.name](round)
  end
end

-- Looking ----------------------------------------------------------------------------------------------------------------

local function add(round, text, ...) round.problems[#round.problems + 1] = text:format(...) end

--- Whether the node has ended by itself, for want of room for a process.
function chaos.gave_up(scene, plan) return plan.text:find "full table" ~= nil and scene:gave_up() end

-- What must be true of the node now. While its process table is full, it does not say.
local function look_at_node(round)
  local scene = round.scene
  if round.has["full table"] then scene:wait_until_there_is_room() end
  if round.killed and round.has.guard then
    -- Neither of the two is left, and recovery undoes what the journal says.
    local result, message, code = recovery.run(scene.node, round.operator.journal, { log = function() end })
    if not result and code ~= "journal" then add(round, "recover with the journal: %s", message) end
  end
  if round.has["node killed"] then
    -- Nobody had to be resumed; what lies on its disk is put back by whoever is left.
    if round.killed or scene:relup() ~= scene.relup_first then
      local result, message, code = recovery.run(scene.node, round.operator.journal, { log = function() end })
      if not result and code ~= "journal" then add(round, "recover after the restart: %s", message) end
    end
  end
  local cleaned, problem = pcall(scene.wait_until_clean, scene)
  if not cleaned then add(round, "%s", problem) end
  -- With what the operator did not wait for, and the observer saw a moment ago.
  local seen
  process.wait_until(function()
    seen = scene.observer:seen()
    return round.has["node killed"] or seen.code == scene:current()
  end, 1000)
  if scene:relup() ~= scene.relup_first then add(round, "the relup on the node's disk is another") end
  if round.has["node killed"] then return end
  if scene:creation_now() ~= scene.creation then return add(round, "the node was restarted") end
  local served, why = pcall(scene.check_served, scene, seen.code)
  if not served then add(round, "%s", why) end
  if scene:current() ~= seen.code then
    add(round, "%s is current, and %s runs", tostring(scene:current()), tostring(seen.code))
  end
end

-- What must be true of the journal: a run that ended has nothing open in it that is not said to be.
local function look_at_journal(round)
  local document = round.document
  if not document or document.exit == 3 or not process.read_file(round.operator.journal) then return end
  local state, message = journal.read(round.operator.journal)
  if not state then return add(round, "the journal: %s", message) end
  if #state.pids + #state.undos > 0 then
    add(round, "exit %d, and the journal owes %d processes and %d calls", document.exit, #state.pids, #state.undos)
  end
end

local function look_at_operator(round)
  local has = round.has
  local lies = verdict.lies {
    status = round.status, printed = round.printed, clean = round.clean, document = round.document,
    seen = round.seen, version = round.operator.version, killed = round.killed,
    restarted = round.status == 4, dead = has["node killed"], link = round.link,
    signalled = has.INT or has["INT INT"] or has.TERM or has.HUP or has.QUIT,
    others = has["second operator"] or has.recover,
  }
  for _, lie in ipairs(lies) do add(round, "%s", lie) end
  for _, other in ipairs(round.others) do
    local status, printed = other.ended_with, other.printed
    local traceback = scenes.traceback_in(printed)
    if traceback then add(round, "a traceback of the second operator: %s", traceback) end
    if status > 4 then add(round, "the second operator exits with %d", status) end
    round.printed = round.printed .. "\nthe second operator: " .. printed
  end
end

local INTENSITY = 5500 -- ms: a listener whose parts crash twice in five seconds is started anew, without its sockets

-- Starts from the version that the seed wants.
local function prepare(scene, plan)
  for _, fault in ipairs(plan.faults) do
    if fault.name == "acceptors' supervisor" and scene.crashed_at then
      process.sleep(math.max(0, scene.crashed_at + INTENSITY - process.now()))
    end
  end
  local from = plan.up and scenes.FIRST or scene.next[1]
  if scene:current() ~= from then
    local text = scene.release:install(from)
    assert(text:find "{ok,", text)
  end
end

-- What the guards on the node have logged since.
local function guards_words(scene, logged)
  local words = {}
  for line in scene.release:printed():sub(logged + 1):gmatch "[^\n]*edeliver_relup[^\n]*" do words[#words + 1] = line end
  return words
end

-- Whether ranch has started the listener anew, without its sockets: the acceptors' supervisor that was killed may still hold the
-- port when its successor wants to listen there, which fails, and that is the second crash in five seconds.
local function was_started_anew(round)
  if not round.listener then return false end
  return round.scene.node:call("erlang", "is_process_alive", { round.listener }) == false
end

--- Plays a round.
-- @param scene to which nothing has happened
-- @param plan
-- @treturn string how the operator ended
-- @treturn {string,...} what is wrong
-- @treturn string what was printed
function chaos.round(scene, plan)
  local round = { scene = scene, plan = plan, problems = {}, others = {}, has = {} }
  for _, fault in ipairs { plan.faults[1], second_of(plan) } do
    round.has[fault.name] = true
    round.link = round.link or LINK[fault.name]
  end
  round.killed = round.has.KILL
  local logged = #scene.release:printed()
  prepare(scene, plan)
  local between = round.link and scene:between()
  round.between = between
  scene:mark()
  round.operator = scene:operate {
    mode = plan.mode, after = plan.after, pass = plan.pass, before = plan.before, fault = "ask", document = true,
    lease = LEASE, grace = GRACE, port = between and between.port, engine = plan.engine,
  }
  if plan.at then
    round.operator:has_begun()
    process.sleep(plan.at)
  else
    round.operator:at_the_fault()
  end
  play(round)
  round.status = round.operator:ended(60000)
  if chaos.gave_up(scene, plan) then
    round.operator.process:stop()
    return "the node gave up", {}, ""
  end
  if was_started_anew(round) then
    round.operator.process:stop()
    for _, other in ipairs(round.others) do other:wait() end
    return "the listener was started anew", {}, ""
  end
  round.clean = scene:is_clean() and scene:relup() == scene.relup_first
  round.printed = round.operator.process:printed()
  for _, other in ipairs(round.others) do other.ended_with, other.printed = other:wait() end
  pcall(scene.observer.catch_up, scene.observer, scene.node)
  round.seen, round.document = scene.observer:seen(), round.operator:document()
  if round.status == 4 and not round.has["node killed"] then add(round, "exit 4, and nobody killed the node") end
  look_at_operator(round)
  look_at_node(round)
  look_at_journal(round)
  round.operator.process:stop()
  if chaos.gave_up(scene, plan) then return "the node gave up", {}, "" end
  if #round.problems > 0 then
    round.printed = ("%s\non the node: %s"):format(round.printed, table.concat(guards_words(scene, logged), "\n"))
  end
  return round.killed and "killed" or "exit " .. round.status, round.problems, round.printed
end

return chaos
