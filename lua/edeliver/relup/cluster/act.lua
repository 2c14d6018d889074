--- What a rollout does: nodes begin by turns, or all at the same moment, and go back.
--
-- @module edeliver.relup.cluster.act

local core = require "edeliver.relup.core"
local schedule = require "edeliver.relup.cluster.schedule"
local state = require "edeliver.relup.cluster.state"
local uv = require "luv"
local watch = require "edeliver.relup.cluster.watch"

local act = {}

local MARGIN, SHARE, MOST = 10, 30, 1000 -- ms between the word to swap and the moment of the swap; SHARE a worker and processor
local PREPARING = 600000 -- ms that nodes have to get ready together

--- Its upgrade begins.
function act.begin(self, node, together)
  self.begun = (self.begun or 0) + 1
  node.order, node.began_at = self.begun, core.now()
  self.options.last_begun = core.now()
  state.set(self, node, "running")
  node.process:tell { act = "upgrade", together = together or nil }
end

--- It goes back.
function act.revert(self, node)
  state.set(self, node, "reverting")
  node.process:tell { act = "revert", to = node.facts.version }
end

--- One after the other, in batches, until it is over: gives how it ended.
function act.in_batches(self)
  local ending
  repeat
    state.take_commands(self)
    if self.options.left then return "left" end
    for _, node in ipairs(self.nodes) do
      if node.state == "watching" then watch.node(self, node) end
    end
    local acts
    acts, ending = schedule.next(self.nodes, self.options, core.now())
    for _, it in ipairs(acts) do
      if it.act == "begin" then act.begin(self, it.node) else act.revert(self, it.node) end
    end
    if not ending then uv.run "once" end
  until ending
  return ending
end

-- In how many ms all of them have come as far as their swaps: release_handler's way there is the one of its check, and workers
-- share the processors of this machine. Sockets stand still meanwhile, so it is no longer than it has to be.
local function margin_of(nodes)
  local longest = 0
  for _, node in ipairs(nodes) do longest = math.max(longest, node.takes or 0) end
  return math.min(MARGIN + 2 * longest + SHARE * #nodes / #uv.cpu_info(), MOST)
end

-- From the first node's change to the last one's, and by how much that may be wrong, in ms. Nil where fewer than two changed.
local function skew_of(nodes)
  local changed = {}
  for _, node in ipairs(nodes) do
    if node.report and node.report.ok and node.report.changed_at then changed[#changed + 1] = node.report end
  end
  if #changed < 2 then return nil end
  table.sort(changed, function(a, b) return a.changed_at < b.changed_at end)
  local first, last = changed[1], changed[#changed]
  return last.changed_at - first.changed_at, first.changed_within and last.changed_within
    and first.changed_within + last.changed_within
end

--- All at the same moment: ready everywhere, or nowhere. What happened behind the barrier is then the schedule's business.
function act.together(self)
  local these = {}
  for _, node in ipairs(self.nodes) do
    if node.state == "planned" then
      these[#these + 1] = node
      act.begin(self, node, true)
    end
  end
  for _, at in ipairs { "prepared", "swap" } do
    local function settled()
      if self.options.aborted then return true end
      local ready = 0
      for _, node in ipairs(these) do
        if node.state ~= "running" then return true end
        if node.ready == at then ready = ready + 1 end
      end
      return ready == #these
    end
    state.wait_until(self, settled, PREPARING)
    local all_ready = true
    for _, node in ipairs(these) do all_ready = all_ready and node.state == "running" and node.ready == at end
    local moment = at == "swap" and #these > 1 and core.now() + margin_of(these) or nil
    for _, node in ipairs(these) do
      if node.state == "running" then node.process:tell { act = all_ready and "go" or "abort", at = moment } end
    end
    if not all_ready then break end
  end
  state.wait_until(self, function()
    for _, node in ipairs(these) do
      if node.state == "running" then return false end
    end
    return true
  end)
  self.skew_ms, self.skew_within_ms = skew_of(these)
  -- All of them have to be new, or none.
  self.options.auto_revert = true
end

return act
