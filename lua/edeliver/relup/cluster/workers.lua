--- The workers of a rollout: how each is started, and what becomes of its node by what it says.
--
-- @module edeliver.relup.cluster.workers

local core = require "edeliver.relup.core"
local process = require "edeliver.relup.cluster.process"
local state = require "edeliver.relup.cluster.state"

local workers = {}

-- The worker of a node is gone, though nobody let go of it, or its node is.
local function lose(self, node, why)
  if node.state == "done" or node.state == "already" or node.state == "reverted" or node.state == "failed" then return end
  state.set(self, node, "lost", why)
end

local LOST = { nodedown = true, timeout = true, not_connected = true }

-- A node that was upgraded, or was not.
local function upgraded(self, node, report)
  node.report = report
  if report.ok then
    node.upgraded_at = core.now()
    state.set(self, node, "watching")
    node.process:tell { act = "settle" }
  elseif report.restarted or LOST[report.code] then
    lose(self, node, report.message)
  else
    state.set(self, node, report.still_suspended + report.still_undone > 0 and "stuck" or "failed", report.message)
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

function heard.already(self, node) state.set(self, node, "already") end

function heard.planned(self, node, event)
  node.plan = event
  state.set(self, node, "planned")
end

function heard.log(self, node, event)
  state.emit(self, { event = "log", node = node.name, level = event.level, text = event.text })
end

function heard.step(self, node, event)
  node.step = event.name
  state.emit(self, { event = "step", node = node.name, step = event.name })
end

function heard.ready(_, node, event) node.ready, node.takes = event.at, event.takes end
function heard.upgraded(self, node, event) upgraded(self, node, event.report) end

function heard.reverted(self, node, event)
  node.report_back = event.report
  state.set(self, node, event.report.ok and "reverted" or "stuck", event.report.message)
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
    state.set(self, node, LOST[event.code] and "lost" or "failed", event.message)
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

--- Starts the worker of a node; where there is none, the node is refused.
function workers.start(self, node)
  local config = self.config
  local first = {
    node = node.name, connect = node.connect, release = config.release, version = config.version, who = self.who,
    options = {
      permanent = config.permanent, anyway = config.anyway, keep_env = config.keep_env, version_suffix = config.version_suffix,
      start_children = config.start_children,
    },
    config = { name = config.name, engine = config.engine, rehearse = config.rehearse, target = config.target },
    steps = config.steps, verify_key = config.verify_key, no_sockets = config.no_sockets,
    healthy = self.check, limits = config.limits,
  }
  local message, code
  node.process, message, code = process.start(first, function(event)
    local react = heard[event.event]
    if react then react(self, node, event) end
  end)
  if not node.process then node.refused = { message = message, code = code } end
end

return workers
