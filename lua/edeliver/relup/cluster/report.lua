--- What a rollout came to, as a table and in words.
--
-- @module edeliver.relup.cluster.report

local core = require "edeliver.relup.core"
local state = require "edeliver.relup.cluster.state"

local report = {}

--- What it came to, or is at.
function report.of(self, ending, message, code)
  local made = {
    id = self.journal.id, journal = self.journal.path, version = self.version, ok = ending == "done", ending = ending,
    message = message, code = code, skew_ms = self.skew_ms,
    skew_within_ms = self.skew_within_ms, skewed = self.skewed or {},
    are_alone = self.are_alone, nodes = {},
    ms = core.now() - self.started,
  }
  for i, node in ipairs(self.nodes) do
    local of = node.report or {}
    made.nodes[i] = {
      name = node.name, state = node.state, message = node.message, from = node.facts and node.facts.version,
      sockets = node.facts and node.facts.sockets, suspended = of.suspended, stood_still_ms = of.stood_still_ms,
      at = node.began_at and node.began_at - self.started, ms = node.upgraded_at and node.upgraded_at - node.began_at,
      journal = of.journal, health = node.health and node.health.now, restarted = of.restarted,
      still_suspended = of.still_suspended, still_undone = of.still_undone,
    }
  end
  return made
end

local WORDS = {
  failed = "The rollout stopped: a node failed", aborted = "The rollout was aborted",
  left = "You left the rollout: its workers end what they are in the middle of",
  reverted = "The rollout went back: a node failed", asked = "The rollout went back, as you asked",
}

-- Which nodes are in which state, in words.
local function summary_of(self)
  local counts, order, words = {}, {}, {}
  for _, node in ipairs(self.nodes) do
    if not counts[node.state] then order[#order + 1] = node.state end
    counts[node.state] = (counts[node.state] or 0) + 1
  end
  for i, each in ipairs(order) do words[i] = ("%d %s"):format(counts[each], state.STATES[each] or each) end
  return table.concat(words, ", ")
end

--- Its end: the report; or nil, why, and the report.
function report.settle(self, ending)
  for _, node in ipairs(self.nodes) do
    if node.state == "planned" then state.set(self, node, "skipped") end
  end
  if ending == "done" then return report.of(self, ending) end
  local why = ""
  for _, node in ipairs(self.nodes) do
    if node.message and why == "" then why = (". %s: %s"):format(node.name, node.message) end
  end
  local asked = ending == "reverted" and self.options.reverting
  local message = ("%s (%s)%s"):format(WORDS[asked and "asked" or ending], summary_of(self), why)
  return nil, message, report.of(self, ending, message, ending)
end

return report
