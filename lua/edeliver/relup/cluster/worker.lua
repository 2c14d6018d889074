--- The worker of a rollout: a process of its own for one node, with its own connection, guard and journal. It does what its
-- parent tells it, by lines of JSON, and says what became of it.
--
-- Where its parent is gone it finishes what it is in the middle of, and ends: an upgrade is never left half done. Signals of the
-- terminal are the parent's.
--
-- @module edeliver.relup.cluster.worker

local clock = require "edeliver.relup.cluster.clock"
local consult = require "edeliver.relup.consult"
local core = require "edeliver.relup.core"
local deploy = require "edeliver.relup.deploy"
local dkjson = require "dkjson"
local health = require "edeliver.relup.cluster.health"
local hold = require "edeliver.relup.cluster.hold"
local install = require "edeliver.relup.step.install"
local modules = require "edeliver.relup.deploy.modules"
local node_module = require "edeliver.relup.node"
local own_steps = require "edeliver.relup.deploy.own_steps"
local release = require "edeliver.relup.release"
local release_handler = require "edeliver.relup.otp.release_handler"
local sequence = require "edeliver.relup.sequence"
local shape = require "edeliver.relup.node.shape"
local standard = require "edeliver.relup.sequence.standard"
local term = require "edeliver.relup.term"
local web = require "edeliver.relup.web"

local worker = {}

local atom = term.atom

local NONE = { before = {}, after = {} } -- steps of the operator's own
local STAND_STILL = 20000 -- ms that sockets are suspended for at most, because other nodes are not ready

-- Lines ----------------------------------------------------------------------------------------------------------------

local function say(event)
  io.stdout:write(dkjson.encode(event), "\n")
  io.stdout:flush()
end

-- What the parent says next, as a table; nil where it is gone.
local function hear()
  while not core.await_input() do end
  local line = io.stdin:read "l"
  local message = line and dkjson.decode(line)
  return type(message) == "table" and message or nil
end

-- Facts ----------------------------------------------------------------------------------------------------------------

local MEMBERS = shape.list(shape.atom)

local function sockets_of(self)
  if self.no_sockets then return 0 end
  local config = self.config
  local site, message, code = web.find(self.node, config.name, config)
  if not site then
    if code ~= "not_detected" then return nil, message, code end
    self.no_sockets = true
    return 0
  end
  local found
  found, message, code = site:connections()
  if not found then return nil, message, code end
  return #found.websockets
end

-- The md5 of what is loaded of the release, as one sum.
local function digest_of(self, version)
  local seen, message, code = modules.of(self.node, version)
  if not seen then return nil, message, code end
  local lines = {}
  for i, module in ipairs(seen) do lines[i] = module.name .. " " .. tostring(module.loaded or module.file) end
  table.sort(lines)
  return core.md5(table.concat(lines, "\n"))
end

local acts = {}

-- Connects, takes the node, and says what it is.
function acts.look(self)
  local first = self.first
  local message, code
  self.node, message, code = node_module.connect(first.node, first.connect)
  if not self.node then return nil, message, code end
  local held
  held, message, code = hold.take(self.node, self.who)
  if not held then return nil, message, code end
  local releases
  releases, message, code = release_handler.which_releases(self.node)
  if not releases then return nil, message, code end
  local now = release_handler.running(releases)
  if not now then return nil, self.node.name .. " knows no release that it runs", "no_release" end
  self.config.name = self.config.name or now.name
  local otp, members, digest, sockets
  otp, message, code = self.node:call("erlang", "system_info", { atom "otp_release" })
  if otp then members, message, code = shape.expect(self.node, "nodes", MEMBERS, self.node:call("erlang", "nodes")) end
  if members then digest, message, code = digest_of(self, now.version) end
  if digest then sockets, message, code = sockets_of(self) end
  if not sockets then return nil, message, code end
  local names = {}
  for i, member in ipairs(members) do names[i] = member.name end
  say {
    event = "looked", otp = term.text(otp), name = now.name, version = now.version, members = names,
    digest = digest, sockets = sockets,
  }
  return true
end

-- The operator's own steps, of both directions; none where there is no file.
local function steps_of(first)
  local file = first.steps or own_steps.find(first.release)
  if not file then return {} end
  local steps = {}
  for _, direction in ipairs { "up", "down" } do
    local read, message, code = own_steps.read(file, direction)
    if not read then return nil, message, code end
    steps[direction] = read
  end
  return steps
end

-- What the upgrade would be here.
function acts.plan(self)
  local first = self.first
  if not first.release then
    say { event = "planned", verdict = "hot", version = first.version, reasons = setmetatable({}, { __jsontype = "array" }) }
    return true
  end
  local opened, made, message, code
  self.steps, message, code = steps_of(first)
  if self.steps then opened, message, code = release.open_verified(first.release, first.verify_key) end
  if opened then made, message, code = deploy.plan(self.node, opened, first.options) end
  if not made then
    if code == "already_installed" then
      say { event = "already" }
      return true
    end
    return nil, message, code
  end
  local allowed
  allowed, message, code = made:allowed(first.options.anyway)
  if not allowed then return nil, message, code end
  self.planned = made
  local reasons = setmetatable({}, { __jsontype = "array" })
  for i, reason in ipairs(made.plan.reasons) do
    reasons[i] = { level = reason.level, code = reason.code, text = reason.text, place = reason.place, next = reason.next }
  end
  say {
    event = "planned", verdict = made.plan.verdict, version = made.version, from = made.from, reasons = reasons,
    files = made.compared.files, bytes = made.compared.bytes,
  }
  return true
end

-- Upgrading --------------------------------------------------------------------------------------------------------------

-- Says that this node is ready, and waits until all are, or for `limit` ms. While it waits, the connection lives. What is told is
-- handed to `go`.
local function barrier(name, limit, go)
  return {
    name = name,
    run = function(node, _, ctx)
      local deadline = core.now() + (limit or math.huge)
      say { event = "ready", at = name, takes = ctx.checked_ms }
      local message
      repeat
        if core.await_input(1000) then
          message = hear()
          if not message or message.act == "abort" then return nil, "another node of the rollout failed", "aborted" end
        elseif not node:is_open() then
          return nil, node.name .. " is gone", "nodedown"
        elseif core.now() > deadline then
          return nil, ("the other nodes were not ready within %d s"):format(limit // 1000), "aborted"
        end
      until message and message.act == "go"
      if go then go(node, ctx, message) end
      return true
    end,
  }
end

-- When the new code was loaded, by the clock of here, and how exact that is: by the node's own clock where a swap did it, else no
-- later than the install came back.
local function changed_at(node, report, installed_at)
  local swaps = report.swap or {}
  local last = swaps[#swaps]
  if not report.ok or not (last and last.at) then return installed_at end
  local seen = clock.of(node)
  if not seen then return installed_at end
  return seen:here(last.at), seen.within
end

local function report_of(report, message)
  local still = report.stood_still
  return {
    ok = report.ok, message = message, code = report.code, suspended = report.suspended, restarted = report.restarted,
    stood_still_ms = still and still.max, journal = report.journal, returns_to = report.returns_to,
    still_suspended = #report.still_suspended, still_undone = #report.still_undone,
  }
end

-- Runs an install with the steps around it, `own` ones of the operator among them. What it came to.
local function run(self, step, own, together)
  local installed_at
  local before, after = table.move(own.before, 1, #own.before, 1, {}), {
    { name = "installed", run = function(_, _, ctx)
      installed_at = ctx.installed_at or core.now()
      return true
    end },
  }
  table.move(own.after, 1, #own.after, 2, after)
  -- The moment to swap is agreed on by the clock of here; the node's is looked at before anybody stands still.
  local seen
  if together then
    before[#before + 1] = barrier("swap", STAND_STILL, function(_, ctx, message)
      if seen and message.at then ctx.config.swap_at = seen:there(message.at) end
    end)
  end
  local steps = standard.around(step, self.no_sockets, before, after)
  if together then table.insert(steps, 1, barrier("prepared", nil, function(node) seen = clock.of(node) end)) end
  local config = {}
  for name, value in pairs(self.config) do config[name] = value end
  config.command = "rollout"
  config.log = function(level, text) say { event = "log", level = level, text = text } end
  config.on_step = function(entry) say { event = "step", name = entry.name } end
  local report, message, failed = sequence.new(steps):run(self.node, config)
  self.upgraded_at = core.now()
  local made = report_of(report or failed, message)
  if together then made.changed_at, made.changed_within = changed_at(self.node, report or failed, installed_at) end
  return made
end

function acts.upgrade(self, message)
  local first = self.first
  local step
  if first.release then
    local options = {}
    for name, value in pairs(first.options) do options[name] = value end
    options.release = self.planned or first.release
    step = deploy.step(options)
  else
    self.config.version = first.version
    step = install.step { permanent = first.options.permanent }
  end
  say { event = "upgraded", report = run(self, step, self.steps and self.steps.up or NONE, message.together) }
  return true
end

function acts.revert(self, message)
  self.config.version = message.to
  local step = self.first.release and deploy.rollback { to = message.to } or install.step()
  if self.first.release then self.config.version = nil end
  say { event = "reverted", report = run(self, step, self.steps and self.steps.down or NONE, false) }
  return true
end

-- Health -----------------------------------------------------------------------------------------------------------------

local TIMED_OUT = 124 -- what timeout(1) exits with

local function quoted(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

-- A function on the node, or a command here, neither for longer than it may take; true, or nil and why not.
local function own_check(self)
  local healthy = self.first.healthy
  if not healthy then return true end
  if healthy.command then
    local ran, how, code = os.execute(("NODE=%s timeout -k 5 %d sh -c %s >/dev/null 2>&1"):format(quoted(self.node.name),
      healthy.seconds, quoted(healthy.command)))
    if ran then return true end
    if code == TIMED_OUT then return nil, ("its check did not end in %d s: %s"):format(healthy.seconds, healthy.command) end
    return nil, ("its check fails (%s %d): %s"):format(how, code, healthy.command)
  end
  local arguments = consult.parse(healthy.arguments)[1]
  local answer, message = self.node:call(healthy.module, healthy.fun, arguments, healthy.seconds * 1000)
  if answer == true or answer == atom "ok" or term.kind(answer) == "tuple" and answer[1] == atom "ok" then return true end
  return nil, ("%s:%s says %s"):format(healthy.module, healthy.fun, answer == nil and message or term.format(answer))
end

function acts.health(self)
  local asked = core.now()
  local now, children, code = health.measure(self.node, self.children)
  if not now then return nil, children, code end
  local sockets, message
  sockets, message, code = sockets_of(self)
  if not sockets then return nil, message, code end
  now.sockets = sockets
  local took = core.now() - asked
  if not self.before then
    self.before, self.children = now, children
    say { event = "health", now = now }
    return true
  end
  now.seconds = (core.now() - (self.upgraded_at or core.now())) / 1000
  local problem = health.problem(self.before, now, self.first.limits)
  if not problem then
    local fine, why = own_check(self)
    if not fine then problem = why end
  end
  say { event = "health", now = now, problem = problem, took = took }
  return true
end

-- The children that the upgrade itself has changed are no restarts.
function acts.settle(self)
  local _, children = health.measure(self.node)
  self.children = children or self.children
  say { event = "settled" }
  return true
end

-- Life -------------------------------------------------------------------------------------------------------------------

--- Runs until the parent lets go.
function worker.main()
  core.no_core_dumps()
  io.stdin:setvbuf "no"
  core.set_types(term.types)
  local first = hear()
  if not first then os.exit(0, true) end
  local self = {
    first = first, config = first.config, who = first.who, no_sockets = first.no_sockets,
  }
  while true do
    local message = hear()
    if not message then break end
    local act = acts[message.act]
    if act then
      local ran, done, problem, code = pcall(act, self, message)
      if not ran then done, problem, code = nil, tostring(done), "lua" end
      if not done then say { event = "failed", act = message.act, message = problem, code = code or "failed" } end
    end
  end
  if self.node then
    hold.leave(self.node)
    self.node:close()
  end
  os.exit(0, true)
end

return worker
