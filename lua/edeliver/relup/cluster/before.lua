--- Before a rollout: everything that can be found out on all nodes, before the first one is touched.
--
-- @module edeliver.relup.cluster.before

local compare = require "edeliver.relup.cluster.compare"
local state = require "edeliver.relup.cluster.state"
local workers = require "edeliver.relup.cluster.workers"

local before = {}

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
  local function have_answered()
    return state.every(self, function(node) return node.refused or node.state == "lost" or test(node) end)
  end
  state.wait_until(self, function() return self.options.aborted or have_answered() end, timeout)
  local message, code = refusal(self)
  if message then return nil, message, code end
  if not self.options.aborted and have_answered() then return true end
  local silent = {}
  for _, node in ipairs(self.nodes) do
    if not (node.state == "lost" or test(node)) then silent[#silent + 1] = node.name end
  end
  local aborted = self.options.aborted
  local why = aborted and "You ended the rollout" or ("%d s went by"):format(timeout // 1000)
  if silent[1] then why = ("%s before %s had answered (%s)"):format(why, table.concat(silent, ", "), act) end
  return nil, why .. ". Nothing was changed", aborted and "interrupted" or "timeout"
end

-- The version that is rolled out, as the plans or the configuration say.
local function target_of(self)
  for _, node in ipairs(self.nodes) do
    if node.plan then return node.plan.version end
  end
  return self.config.version or self.nodes[1].facts.version
end

-- Modules whose structs or the like are others in the new version: where old and new nodes talk, these are what to look at.
local function skewed_of(self)
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

--- Looks at all nodes, plans for each, holds them against each other, and measures their health.
-- @return[1] true
-- @return[2] nil, message, code
function before.look(self)
  for _, node in ipairs(self.nodes) do workers.start(self, node) end
  local fine, message, code = ask_all(self, "look", function(node) return node.facts end, 60000)
  if not fine then return nil, message, code end
  fine, message, code = ask_all(self, "plan", function(node) return node.plan or node.state == "already" end, 300000)
  if not fine then return nil, message, code end
  local facts = {}
  for i, node in ipairs(self.nodes) do
    facts[i] = node.facts
    if self.config.version and node.facts.version == self.config.version then state.set(self, node, "already") end
  end
  self.version = target_of(self)
  fine, message, code = compare.nodes(facts, self.version)
  if not fine then return nil, message, code end
  self.skewed, self.are_alone = skewed_of(self), compare.are_alone(facts)
  return ask_all(self, "health", function(node) return node.state == "already" or node.health_before end, 60000)
end

return before
