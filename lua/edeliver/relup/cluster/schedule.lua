--- What a rollout does next: which nodes begin, which go back, and when it is over. Values in, decisions out; asks nobody.
--
-- A node's `state` is "planned" (its turn will come), "running", "watching" (upgraded, its health is looked at), "done",
-- "already" (it had the version), "failed" (its upgrade was undone), "unhealthy", "lost", "reverting", "reverted", "stuck" (it
-- could not go back), "skipped".
--
-- @module edeliver.relup.cluster.schedule

local schedule = {}

local ACTIVE = { running = true, watching = true, reverting = true }
local FAILED = { failed = true, unhealthy = true, stuck = true, reverting = true, reverted = true }
local UPGRADED = { watching = true, done = true, unhealthy = true }

local function with(nodes, states)
  local found = {}
  for _, node in ipairs(nodes) do
    if states[node.state] then found[#found + 1] = node end
  end
  return found
end

--- How many nodes may be upgraded at the same time.
-- @param max_parallel a number, or "25%" of them
-- @tparam integer all
-- @treturn integer at least 1
function schedule.parallel(max_parallel, all)
  local per_cent = type(max_parallel) == "string" and tonumber(max_parallel:match "^(%d+)%%$")
  if per_cent then return math.max(1, per_cent * all // 100) end
  return math.max(1, max_parallel or 1)
end

-- Why no more nodes begin, or nil.
local function obstacle(nodes, config)
  if config.aborted then return "aborted" end
  if #with(nodes, FAILED) > 0 then return "failed" end
  if #with(nodes, { lost = true }) > 0 and not config.keep_going then return "failed" end
  return nil
end

-- The next one to go back, the last first; nothing while another is busy.
local function revert_next(nodes)
  if #with(nodes, ACTIVE) > #with(nodes, { watching = true }) then return {} end
  local upgraded = with(nodes, UPGRADED)
  table.sort(upgraded, function(a, b) return (a.order or 0) > (b.order or 0) end)
  return upgraded[1] and { { act = "revert", node = upgraded[1] } } or {}
end

local function begin_more(nodes, config, now)
  local planned, active = with(nodes, { planned = true }), with(nodes, ACTIVE)
  if #planned == 0 or config.paused then return {} end
  local begun = #nodes - #planned - #with(nodes, { already = true, skipped = true })
  local room = schedule.parallel(config.max_parallel, #nodes) - #active
  local canary = math.min(config.canary or 0, #nodes)
  if begun < canary then
    room = canary - begun
  elseif #active > 0 and begun <= canary then
    room = 0 -- the canaries are still being looked at
  end
  if begun > 0 and config.stagger and config.last_begun and now < config.last_begun + config.stagger then room = 0 end
  local acts = {}
  for i = 1, math.min(room, #planned) do acts[i] = { act = "begin", node = planned[i] } end
  return acts
end

--- What to do now.
-- @tparam table nodes a list of `{ name =, state =, order = (when it began, 1, 2, …) }`
-- @tparam table config `canary` (so many nodes first, and healthy before others begin), `max_parallel`, `stagger` (ms between
-- beginnings), `auto_revert`, `keep_going` (a lost node stops nobody), `paused`, `aborted`, `reverting` (somebody asked for it),
-- `last_begun` (ms)
-- @tparam number now ms
-- @return a list of `{ act = "begin" | "revert", node = }`; and, when it is over, "done", "failed", "reverted" or "aborted"
function schedule.next(nodes, config, now)
  local why = obstacle(nodes, config)
  if config.reverting or why == "failed" and config.auto_revert then
    local acts = revert_next(nodes)
    if #acts > 0 or #with(nodes, ACTIVE) > 0 then return acts end
    -- Nobody knows what a lost one runs.
    return {}, #with(nodes, { stuck = true, lost = true }) > 0 and "failed" or "reverted"
  end
  if why then
    if #with(nodes, ACTIVE) > 0 then return {} end
    return {}, why
  end
  local acts = begin_more(nodes, config, now)
  if #acts > 0 or #with(nodes, ACTIVE) > 0 or #with(nodes, { planned = true }) > 0 then return acts end
  return {}, #with(nodes, { lost = true }) > 0 and "failed" or "done"
end

return schedule
