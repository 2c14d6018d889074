--- A rollout: many nodes, in batches behind a canary, or all at the same moment. One process a node.
--
-- Everything that can be found out is found out on all nodes before the first one is touched. Each worker has its own connection,
-- guard and journal, so that one node cannot hold up another. Knows no step by name.
--
-- @module edeliver.relup.cluster

local act = require "edeliver.relup.cluster.act"
local before = require "edeliver.relup.cluster.before"
local consult = require "edeliver.relup.consult"
local core = require "edeliver.relup.core"
local journal = require "edeliver.relup.cluster.journal"
local operator = require "edeliver.relup.base.operator"
local reports = require "edeliver.relup.cluster.report"
local state = require "edeliver.relup.cluster.state"
local term = require "edeliver.relup.term"
local uv = require "luv"

local cluster = { STATES = state.STATES }

local TICK = 100 -- ms between looks at what to do next
local LEAVING = 10000 -- ms that workers have to end, once their nodes are settled
local CHECK = 30000 -- ms that a check of the operator's own may take

local function close(self)
  for _, node in ipairs(self.nodes) do
    node.left = true
    if node.process then node.process:leave() end
  end
  -- Workers end well by themselves; nobody is killed in the middle of something, and nobody waits for one that is stopped.
  state.wait_until(self, function()
    return state.every(self, function(node) return not node.process or node.process.is_over end)
  end, self.is_settled and LEAVING or nil)
  self.timer:stop()
  self.timer:close()
  uv.run "once"
  while core.take_signal() do end -- there is nothing left to end but the report
  core.release_signals()
end

local function run(self)
  local fine, message, code = before.look(self)
  if not fine then return nil, message, reports.of(self, "refused", message, code) end
  state.emit(self, { event = "ready_to_begin" })
  if self.config.plan_only then return reports.of(self, "planned") end
  local confirm = self.config.confirm
  if confirm and not core.let_signals_through(confirm, self) then return nil, "You did not confirm it: nothing was done",
    reports.of(self, "refused", "not confirmed", "not_confirmed") end
  if self.config.together then act.together(self) end
  return reports.settle(self, act.in_batches(self))
end

-- The door ---------------------------------------------------------------------------------------------------------------

local KNOWN = {}
for name in ([[nodes release version name canary max_parallel min_healthy_time healthy_deadline auto_revert keep_going stagger
  healthy limits together permanent anyway keep_env version_suffix no_sockets engine rehearse target connect on_event plan_only
  confirm start_children steps verify_key]]):gmatch "%S+" do
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
-- `keep_env`, `start_children`, `steps` (the path of a relup.lua), `verify_key`, …
-- @return[1] report: `{ ok, version, nodes = list of { name, state, message, from, sockets, stood_still_ms, … }, skew_ms, … }`
-- @return[2] nil, message, report
function cluster.rollout(config)
  check(config, 2)
  config.min_healthy_time = config.min_healthy_time or 10000
  config.healthy_deadline = config.healthy_deadline or 300000
  local self = { config = config, nodes = {}, started = core.now(), check = check_of(config) }
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
    release = config.release, version = config.version, nodes = table.move(names, 1, #names, 1, {}),
    operator = operator.name(),
  }
  if not self.journal then
    return nil, message, reports.of({ nodes = {}, journal = {}, started = core.now() }, "refused", message, code)
  end
  self.who = ("%s, rollout %s, since %s"):format(operator.name(), self.journal.id, os.date "!%H:%M:%S UTC")
  -- Held back from here on: the loop asks for them, and none raises in the middle of something.
  core.catch_signals()
  core.block_signals()
  self.timer = uv.new_timer()
  self.timer:start(TICK, TICK, function() end)
  local ran, report, problem, failed = pcall(run, self)
  self.is_settled = ran
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
