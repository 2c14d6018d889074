--- A rollout: many nodes, in batches behind a canary, or all at the same moment. One process a node.
--
-- Everything that can be found out is found out on all nodes before the first one is touched. Each worker has its own connection,
-- guard and journal, so that one node cannot hold up another. Knows no step by name.
--
-- @module edeliver.relup.cluster

local compare = require "edeliver.relup.cluster.compare"
local consult = require "edeliver.relup.consult"
local core = require "edeliver.relup.core"
local journal = require "edeliver.relup.cluster.journal"
local operator = require "edeliver.relup.base.operator"
local process = require "edeliver.relup.cluster.process"
local schedule = require "edeliver.relup.cluster.schedule"
local term = require "edeliver.relup.term"
local uv = require "luv"

local cluster = {}

local rollout = {}
rollout.__index = rollout

local TICK = 100 -- ms between looks at what to do next
local HEALTH = 1000 -- ms between looks at a node's health
local CHECK = 30000 -- ms that a check of the operator's own may take
local PREPARING = 600000 -- ms that nodes have to get ready together

-- Nodes ----------------------------------------------------------------------------------------------------------------

local STATES = { -- what a person reads
  planned = "waits for its turn", running = "upgrading", watching = "upgraded, its health is checked", done = "done",
  already = "had this version", failed = "failed, undone", unhealthy = "not healthy", lost = "lost", reverting = "going back",
  reverted = "went back", stuck = "could not go back", skipped = "not begun", looking = "connecting", looked = "connected",
}
cluster.STATES = STATES

local function emit(self, event)
  event.ms = math.floor(core.now() - self.started)
  if self.config.on_event then self.config.on_event(event, self) end
end

local function set_state(self, node, state, message)
  node.state, node.message = state, message or node.message
  self.journal:write("state", { node = node.name, state = state, message = message })
  emit(self, { event = "state", node = node.name, state = state, message = message })
end

-- The worker of a node is gone, though nobody let go of it, or its node is.
local function lose(self, node, why)
  if node.state == "done" or node.state == "already" or node.state == "reverted" or node.state == "failed" then return end
  set_state(self, node, "lost", why)
end

local LOST = { nodedown = true, timeout = true, not_connected = true }

-- A node that was upgraded, or was not.
local function upgraded(self, node, report)
  node.report = report
  if report.ok then
    node.upgraded_at = core.now()
    set_state(self, node, "watching")
    node.process:tell { act = "settle" }
  elseif report.restarted or LOST[report.code] then
    lose(self, node, report.message)
  else
    set_state(self, node, report.still_suspended + report.still_undone > 0 and "stuck" or "failed", report.message)
  end
end

local heard = {}

function heard.looked(_, node, event)
  node.facts = {
    node = node.name, otp = event.otp, name = event.name, version = event.version, members = event.members,
    digest = event.digest, sockets = event.sockets,
  }
  node.state = "looked"
end

function heard.already(self, node) set_state(self, node, "already") end

function heard.planned(self, node, event)
  node.plan = event
  set_state(self, node, "planned")
end

function heard.log(self, node, event) emit(self, { event = "log", node = node.name, level = event.level, text = event.text }) end

function heard.step(self, node, event)
  node.step = event.name
  emit(self, { event = "step", node = node.name, step = event.name })
end

function heard.ready(_, node, event) node.ready = event.at end
function heard.installed(_, node, event) node.installed_at = event.at end
function heard.upgraded(self, node, event) upgraded(self, node, event.report) end

function heard.reverted(self, node, event)
  node.report_back = event.report
  set_state(self, node, event.report.ok and "reverted" or "stuck", event.report.message)
end

function heard.health(_, node, event)
  node.health, node.asked = event, false
  if not node.health_before then node.health_before = event.now end
end

function heard.settled(_, node) node.settled = true end

function heard.failed(self, node, event)
  node.asked = false
  if event.act == "look" or event.act == "plan" then
    node.refused = { message = event.message, code = event.code }
  elseif event.act == "health" then
    node.health = { problem = event.message, now = {} }
    if LOST[event.code] then lose(self, node, event.message) end
  else
    set_state(self, node, LOST[event.code] and "lost" or "failed", event.message)
  end
end

function heard.ended(self, node, event)
  if node.left then return end
  local said = event.errors ~= "" and ": " .. event.errors:match "^%s*(.-)%s*$" or ""
  local why = ("its worker ended (%s %d)%s"):format(event.signal ~= 0 and "signal" or "exit code",
    event.signal ~= 0 and event.signal or event.code, said)
  if node.state == "looking" or node.state == "looked" then node.refused = { message = why, code = "system" } end
  lose(self, node, why .. "; the node ends or undoes by itself what was begun: look at it by `status`, and run the same command "
    .. "again")
end

local function start(self, node)
  local config = self.config
  local first = {
    node = node.name, connect = node.connect, release = config.release, version = config.version, who = self.who,
    options = {
      permanent = config.permanent, anyway = config.anyway, keep_env = config.keep_env, version_suffix = config.version_suffix,
      start_children = config.start_children,
    },
    config = { name = config.name, engine = config.engine, rehearse = config.rehearse, target = config.target },
    no_sockets = config.no_sockets, healthy = self.check, limits = config.limits,
  }
  local message, code
  node.process, message, code = process.start(first, function(event)
    local react = heard[event.event]
    if react then react(self, node, event) end
  end)
  if not node.process then node.refused = { message = message, code = code } end
end

-- Waiting --------------------------------------------------------------------------------------------------------------

-- Runs the loop until something is so; false where it took too long, or a signal came.
local function wait_until(self, condition, timeout)
  local deadline = core.now() + (timeout or math.huge)
  while not condition() do
    if core.now() > deadline then return false end
    self:look_for_commands()
    if self.options.aborted and timeout then return false end
    uv.run "once" -- the timer of `run` ends each round
  end
  return true
end

local function every(self, test)
  for _, node in ipairs(self.nodes) do
    if not test(node) then return false end
  end
  return true
end

--- Hears Ctrl-C, and what another terminal says.
function rollout:look_for_commands()
  if core.take_signal() and not self.options.aborted then
    self.options.aborted = true
    emit(self, { event = "said", text = "no new node begins; those that are in the middle of it end well" })
  end
  local word = self.journal:command()
  if not word then return end
  if word == "pause" or word == "continue" then self.options.paused = word == "pause" end
  if word == "abort" then self.options.aborted = true end
  if word == "revert" then self.options.reverting = true end
  emit(self, { event = "said", text = word })
end

-- Before ---------------------------------------------------------------------------------------------------------------

-- The first refusal, with the node's name.
local function refusal(self)
  local words, code = {}, nil
  for _, node in ipairs(self.nodes) do
    if node.refused then
      words[#words + 1] = ("%s: %s"):format(node.name, node.refused.message)
      code = code or node.refused.code
    end
  end
  if words[1] then return table.concat(words, "; "), code end
  return nil
end

local function ask_all(self, act, test, timeout)
  for _, node in ipairs(self.nodes) do
    if node.process and not node.refused and node.state ~= "already" then node.process:tell { act = act } end
  end
  local answered = wait_until(self, function()
    return every(self, function(node) return node.refused or node.state == "lost" or test(node) end)
  end, timeout)
  local message, code = refusal(self)
  if message then return nil, message, code end
  if answered then return true end
  local silent = {}
  for _, node in ipairs(self.nodes) do
    if not (node.state == "lost" or test(node)) then silent[#silent + 1] = node.name end
  end
  local aborted = self.options.aborted
  local why = aborted and "You ended the rollout" or ("%d s went by"):format(timeout // 1000)
  return nil, ("%s before %s had answered (%s). Nothing was changed"):format(why, table.concat(silent, ", "), act),
    aborted and "interrupted" or "timeout"
end

-- The version that is rolled out, as the plans or the configuration say.
local function target_of(self)
  for _, node in ipairs(self.nodes) do
    if node.plan then return node.plan.version end
  end
  return self.config.version or self.nodes[1].facts.version
end

-- Modules whose structs or the like are others in the new version: where old and new nodes talk, these are what to look at.
local function skew_of(self)
  local seen, words = {}, {}
  for _, node in ipairs(self.nodes) do
    for _, reason in ipairs(node.plan and node.plan.reasons or {}) do
      if reason.code:find "^struct" and not seen[reason.text] then
        seen[reason.text] = true
        words[#words + 1] = reason.text
      end
    end
  end
  return words
end

local function look_at_all(self)
  for _, node in ipairs(self.nodes) do start(self, node) end
  local fine, message, code = ask_all(self, "look", function(node) return node.facts end, 60000)
  if not fine then return nil, message, code end
  fine, message, code = ask_all(self, "plan", function(node) return node.plan or node.state == "already" end, 300000)
  if not fine then return nil, message, code end
  local facts = {}
  for i, node in ipairs(self.nodes) do
    facts[i] = node.facts
    if self.config.version and node.facts.version == self.config.version then set_state(self, node, "already") end
  end
  self.version = target_of(self)
  fine, message, code = compare.nodes(facts, self.version)
  if not fine then return nil, message, code end
  self.skewed = skew_of(self)
  return ask_all(self, "health", function(node) return node.state == "already" or node.health_before end, 60000)
end

-- Acting -----------------------------------------------------------------------------------------------------------------

local function begin_node(self, node, together)
  self.begun = (self.begun or 0) + 1
  node.order, node.began_at = self.begun, core.now()
  self.options.last_begun = core.now()
  set_state(self, node, "running")
  node.process:tell { act = "upgrade", together = together or nil }
end

local function revert_node(self, node)
  set_state(self, node, "reverting")
  node.process:tell { act = "revert", to = node.facts.version }
end

-- What the operator's own function says of a node; it has a connection of its own.
local function ask_function(self, node)
  local healthy = self.config.healthy
  if type(healthy) ~= "function" then return nil end
  local connected <close>, message = require("edeliver.relup.node").connect(node.name, node.connect)
  if not connected then return message end
  local ran, fine, why = pcall(healthy, connected)
  if not ran then return tostring(fine) end
  return not fine and (why or "its check says no") or nil
end

-- Looks at the health of a node that was upgraded: done once it was well for long enough, unhealthy where it never is.
local function watch(self, node)
  local now, config = core.now(), self.config
  if node.health and node.settled and not node.asked and node.health.seen ~= true and node.watched then
    node.health.seen = true
    local problem = node.health.problem or ask_function(self, node)
    node.well_since = not problem and (node.well_since or now) or nil
    node.well_until = not problem and now or nil
    node.problem = problem
    emit(self, { event = "health", node = node.name, health = node.health.now, problem = problem })
  end
  if node.well_since and node.well_until - node.well_since >= config.min_healthy_time then
    return set_state(self, node, "done")
  end
  if now - node.upgraded_at > config.healthy_deadline then
    local within = config.healthy_deadline / 1000
    return set_state(self, node, "unhealthy", node.problem or node.asked
      and ("its health was still being looked at after %.0f s"):format(within)
      or ("it was not healthy for %.0f s without a break in %.0f s"):format(config.min_healthy_time / 1000, within))
  end
  if node.settled and not node.asked and now >= (node.next_look or 0) then
    node.asked, node.watched, node.next_look = true, true, now + HEALTH
    node.process:tell { act = "health" }
  end
end

-- One after the other, in batches.
local function in_batches(self)
  local ending
  repeat
    self:look_for_commands()
    for _, node in ipairs(self.nodes) do
      if node.state == "watching" then watch(self, node) end
    end
    local acts
    acts, ending = schedule.next(self.nodes, self.options, core.now())
    for _, it in ipairs(acts) do
      if it.act == "begin" then begin_node(self, it.node) else revert_node(self, it.node) end
    end
    if not ending then uv.run "once" end
  until ending
  return ending
end

-- All at the same moment: ready everywhere, or nowhere. What happened behind the barrier is then the schedule's business.
local function all_together(self)
  local these = {}
  for _, node in ipairs(self.nodes) do
    if node.state == "planned" then
      these[#these + 1] = node
      begin_node(self, node, true)
    end
  end
  for _, at in ipairs { "prepared", "swap" } do
    local function settled()
      local ready = 0
      for _, node in ipairs(these) do
        if node.state ~= "running" then return true end
        if node.ready == at then ready = ready + 1 end
      end
      return ready == #these
    end
    wait_until(self, settled, PREPARING)
    local all_ready = true
    for _, node in ipairs(these) do all_ready = all_ready and node.state == "running" and node.ready == at end
    for _, node in ipairs(these) do
      if node.state == "running" then node.process:tell { act = all_ready and "go" or "abort" } end
    end
    if not all_ready then break end
  end
  wait_until(self, function()
    for _, node in ipairs(these) do
      if node.state == "running" then return false end
    end
    return true
  end)
  local first, last
  for _, node in ipairs(these) do
    local at = node.state == "watching" and node.installed_at
    if at then first, last = math.min(first or at, at), math.max(last or at, at) end
  end
  self.skew_ms = first and last - first
  -- All of them have to be new, or none.
  self.options.auto_revert = true
end

-- Reports ----------------------------------------------------------------------------------------------------------------

local function report_of(self, ending, message, code)
  local report = {
    id = self.journal.id, journal = self.journal.path, version = self.version, ok = ending == "done", ending = ending,
    message = message, code = code, skew_ms = self.skew_ms, skewed = self.skewed or {}, nodes = {},
    ms = core.now() - self.started,
  }
  for i, node in ipairs(self.nodes) do
    local of = node.report or {}
    report.nodes[i] = {
      name = node.name, state = node.state, message = node.message, from = node.facts and node.facts.version,
      sockets = node.facts and node.facts.sockets, suspended = of.suspended, stood_still_ms = of.stood_still_ms,
      at = node.began_at and node.began_at - self.started, ms = node.upgraded_at and node.upgraded_at - node.began_at,
      journal = of.journal, health = node.health and node.health.now, restarted = of.restarted,
      still_suspended = of.still_suspended, still_undone = of.still_undone,
    }
  end
  return report
end

local WORDS = {
  failed = "The rollout stopped: a node failed", aborted = "The rollout was aborted",
  reverted = "The rollout went back: a node failed", asked = "The rollout went back, as you asked",
}

-- Which nodes are in which state, in words.
local function summary_of(self)
  local counts, order, words = {}, {}, {}
  for _, node in ipairs(self.nodes) do
    if not counts[node.state] then order[#order + 1] = node.state end
    counts[node.state] = (counts[node.state] or 0) + 1
  end
  for i, state in ipairs(order) do words[i] = ("%d %s"):format(counts[state], STATES[state] or state) end
  return table.concat(words, ", ")
end

local function settle(self, ending)
  for _, node in ipairs(self.nodes) do
    if node.state == "planned" then set_state(self, node, "skipped") end
  end
  if ending == "done" then return report_of(self, ending) end
  local why = ""
  for _, node in ipairs(self.nodes) do
    if node.message and why == "" then why = (". %s: %s"):format(node.name, node.message) end
  end
  local asked = ending == "reverted" and self.options.reverting
  local message = ("%s (%s)%s"):format(WORDS[asked and "asked" or ending], summary_of(self), why)
  return nil, message, report_of(self, ending, message, ending)
end

local function close(self)
  for _, node in ipairs(self.nodes) do
    node.left = true
    if node.process then node.process:leave() end
  end
  -- Workers end well by themselves; nobody is killed in the middle of something.
  wait_until(self, function()
    return every(self, function(node) return not node.process or node.process.is_over end)
  end)
  self.timer:stop()
  self.timer:close()
  uv.run "once"
  core.release_signals()
end

local function run(self)
  local fine, message, code = look_at_all(self)
  if not fine then return nil, message, report_of(self, "refused", message, code) end
  emit(self, { event = "ready_to_begin" })
  if self.config.plan_only then return report_of(self, "planned") end
  local confirm = self.config.confirm
  if confirm and not confirm(self) then return nil, "You did not confirm it: nothing was done",
    report_of(self, "refused", "not confirmed", "not_confirmed") end
  if self.config.together then all_together(self) end
  return settle(self, in_batches(self))
end

-- The door ---------------------------------------------------------------------------------------------------------------

local KNOWN = {}
for name in ([[nodes release version name canary max_parallel min_healthy_time healthy_deadline auto_revert keep_going stagger
  healthy limits together permanent anyway keep_env version_suffix no_sockets engine rehearse target connect on_event plan_only
  confirm start_children]]):gmatch "%S+" do
  KNOWN[name] = true
end

local function check(config, level)
  for name in pairs(config) do
    if not KNOWN[name] then error(("rollout has no field %q"):format(tostring(name)), level + 1) end
  end
  if type(config.nodes) ~= "table" or #config.nodes == 0 then error("rollout needs nodes, a list of names", level + 1) end
  if (config.release == nil) == (config.version == nil) then
    error("rollout needs either release, a path, or version, of a release that lies on the nodes", level + 1)
  end
  local parallel = config.max_parallel
  if parallel ~= nil and not (math.type(parallel) == "integer" and parallel > 0)
    and not (type(parallel) == "string" and parallel:find "^%d+%%$") then
    error('max_parallel is a number of nodes, or per cent of them as "25%"', level + 1)
  end
  local healthy = config.healthy
  if type(healthy) == "table" and not (type(healthy[1]) == "string" and type(healthy[2]) == "string") then
    error("healthy is a function, a shell command, or a list of a module, a function and its arguments", level + 1)
  end
  for _, name in ipairs { "canary", "min_healthy_time", "healthy_deadline", "stagger" } do
    local value = config[name]
    if value ~= nil and not (math.type(value) and value >= 0) then error(name .. " is a number", level + 1) end
  end
end

-- How the workers look at health: a function of the operator's stays here. Terms go to them as text.
local function check_of(config)
  local healthy, seconds = config.healthy, math.ceil(math.min(CHECK, config.healthy_deadline) / 1000)
  if type(healthy) == "string" then return { command = healthy, seconds = seconds } end
  if type(healthy) ~= "table" then return nil end
  local arguments = consult.write { term.list { table.unpack(healthy, 3) } }
  return { seconds = seconds, module = healthy[1], fun = healthy[2], arguments = arguments }
end

--- Rolls a release out.
-- @tparam table config `nodes` (a list of names, or of `{ name =, …}` with options of `connect`), `release` (a path) or
-- `version` (which lies on the nodes with a relup), `canary` (so many first; the others begin when these are healthy),
-- `max_parallel` (a number, or "25%"; 1), `min_healthy_time` (ms that a node has to be well, 10000), `healthy_deadline` (ms that
-- it has for that, 300000), `auto_revert` (where one fails, those that were upgraded go back, the last first), `keep_going` (a
-- node that is lost stops nobody), `stagger` (ms between beginnings), `healthy` (a function of a node; a list `{ module, fun,
-- arguments… }`, asked on the node; or a shell command, with NODE in its environment), `limits` (see `cluster.health`),
-- `together` (all nodes swap at the same moment, or none), `connect` (options for all nodes), `on_event` (a function of each
-- event), `plan_only`, `confirm` (a function, asked when all is planned), and what an install takes: `permanent`, `anyway`,
-- `keep_env`, `start_children`, …
-- @return[1] report: `{ ok, version, nodes = list of { name, state, message, from, sockets, stood_still_ms, … }, skew_ms, … }`
-- @return[2] nil, message, report
function cluster.rollout(config)
  check(config, 2)
  config.min_healthy_time = config.min_healthy_time or 10000
  config.healthy_deadline = config.healthy_deadline or 300000
  local self = setmetatable({ config = config, nodes = {}, started = core.now(), check = check_of(config) }, rollout)
  self.options = {
    canary = config.canary, max_parallel = config.max_parallel, stagger = config.stagger, auto_revert = config.auto_revert,
    keep_going = config.keep_going,
  }
  local names = {}
  for i, each in ipairs(config.nodes) do
    local own = type(each) == "table" and each or { name = each }
    local connect = {}
    for name, value in pairs(config.connect or {}) do connect[name] = value end
    for name, value in pairs(own) do connect[name] = value end
    connect.name = nil
    if names[own.name] then error(("rollout: %s is named twice"):format(own.name), 2) end
    names[own.name] = true
    self.nodes[i] = { name = own.name, connect = connect, state = "looking" }
    names[i] = own.name
  end
  local message, code
  self.journal, message, code = journal.begin {
    release = config.release, version = config.version, nodes = table.move(names, 1, #names, 1, {}), pid = uv.os_getpid(),
    operator = operator.name(),
  }
  if not self.journal then
    return nil, message, report_of({ nodes = {}, journal = {}, started = core.now() }, "refused", message, code)
  end
  self.who = ("%s, rollout %s, since %s"):format(operator.name(), self.journal.id, os.date "!%H:%M:%S UTC")
  core.catch_signals()
  self.timer = uv.new_timer()
  self.timer:start(TICK, TICK, function() end)
  local ran, report, problem, failed = pcall(run, self)
  close(self)
  local ending = ran and (report or failed) or nil
  self.journal:close {
    ok = ran and report ~= nil, ending = ending and ending.ending,
    message = ran and problem or not ran and tostring(report) or nil,
  }
  if not ran then error(report, 0) end
  if report then return report end
  return nil, problem, failed
end

return cluster
