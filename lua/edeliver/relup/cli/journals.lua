--- What was done from this account: the journals of runs and of rollouts, as rows, and the end of those that are over.
--
-- @module edeliver.relup.cli.journals

local core = require "edeliver.relup.core"
local journal = require "edeliver.relup.undo.journal"
local rollouts = require "edeliver.relup.cluster.journal"

local journals = {}

-- Endings after which nothing is owed, so that the journal may go.
local OVER = { done = true, ["failed, undone"] = true, ["node restarted"] = true, recovered = true, reverted = true }
local DAY = 86400 -- s

-- How a run ended, in a word.
local function ending(read)
  local ended = read.ended
  if not ended then return "not ended" end
  if (ended.still_suspended or 0) + (ended.still_undone or 0) > 0 then return "left things behind" end
  if ended.by == "recover" then return "recovered" end
  if ended.restarted then return "node restarted" end
  return ended.ok and "done" or "failed, undone"
end

local function row_of(path)
  local read, message = journal.read(path)
  if not read then return { path = path, node = "?", at = "?", ended = "unreadable", problem = message } end
  local run = read.run
  return {
    path = path, node = read.node, at = run.at, since_boot = run.since_boot, who = run.operator,
    name = run.application, version = run.version,
    command = run.command or "run", ended = ending(read), owes = #read.pids + #read.undos,
    message = read.ended and read.ended.message,
  }
end

local function row_of_rollout(found)
  local first, ended = found.first, found.ended
  local nodes = type(first.nodes) == "table" and first.nodes or {}
  return {
    path = found.path, nodes = nodes, node = #nodes == 1 and nodes[1] or ("%d nodes"):format(#nodes), at = first.at,
    since_boot = first.since_boot, who = first.operator, version = first.version or first.release, command = "rollout",
    ended = not ended and "not ended" or ended.ok and "done" or ended.ending or "failed", message = ended and ended.message,
  }
end

local function concerns(row, node)
  if not node or row.node == node then return true end
  for _, name in ipairs(row.nodes or {}) do
    if name == node then return true end
  end
  return false
end

--- The runs and rollouts, the newest first.
-- @tparam[opt] table wanted names of nodes: only what was done to one of them
-- @return[1] a list of rows
-- @return[2] nil, message, code
function journals.list(wanted)
  local folder, message, code = journal.folder()
  local names
  if folder then names, message, code = core.list_folder(folder) end
  if not names and code == "missing" then names = {} end
  if not names then return nil, message, code end
  local all, rows = {}, {}
  for name, kind in pairs(names) do
    if kind == "file" and name:find "%.jsonl$" then all[#all + 1] = row_of(folder .. "/" .. name) end
  end
  if names.rollouts == "folder" then
    local found
    found, message, code = rollouts.all()
    if not found then return nil, message, code end
    for _, one in ipairs(found) do all[#all + 1] = row_of_rollout(one) end
  end
  for _, row in ipairs(all) do
    local is = not wanted or #wanted == 0
    for _, node in ipairs(wanted or {}) do is = is or concerns(row, node) end
    if is then rows[#rows + 1] = row end
  end
  table.sort(rows, journal.newest_first)
  return rows
end

-- "2026-01-02T03:04:05Z" as seconds.
local function seconds(at)
  local year, month, day, hour, min, sec = at:match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)Z$"
  return year and os.time { year = year, month = month, day = day, hour = hour, min = min, sec = sec, isdst = false }
end

--- Deletes the journals of what is over, owes nothing, and is older.
-- @tparam table rows what `list` gave
-- @tparam number days
-- @return the rows that are left, and how many were deleted
function journals.prune(rows, days)
  local now = os.date "!*t"
  now.isdst = false
  local before, deleted, kept = os.time(now) - days * DAY, 0, {}
  for _, row in ipairs(rows) do
    local at = OVER[row.ended] and seconds(row.at)
    if at and at < before and os.remove(row.path) then deleted = deleted + 1 else kept[#kept + 1] = row end
  end
  return kept, deleted
end

--- How long journals are kept without being asked for.
journals.DAYS = 365

--- After something has been done: those that are older than `DAYS` go. Their names have the day, so the others are not read.
function journals.tidy()
  local folder = journal.folder()
  local names = folder and core.list_folder(folder) or {}
  local limit, rows = os.date("!%Y%m%d", os.time() - journals.DAYS * DAY), {}
  for name, kind in pairs(names) do
    local day = kind == "file" and name:match "%-(%d%d%d%d%d%d%d%d)T%d+Z%-%x+%.jsonl$"
    if day and day < limit then rows[#rows + 1] = row_of(folder .. "/" .. name) end
  end
  journals.prune(rows, journals.DAYS)
end

return journals
