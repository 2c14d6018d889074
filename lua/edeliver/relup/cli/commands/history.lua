--- `history`: what was done to which node, by whom, and how it ended: the journals of this user, newest first.
--
-- @module edeliver.relup.cli.commands.history

local core = require "edeliver.relup.core"
local exit = require "edeliver.relup.cli.exit"
local journal = require "edeliver.relup.undo.journal"
local output = require "edeliver.relup.cli.output"

local history = {
  summary = "List what was done to which nodes, and how it ended.",
  description = "Reads the journals that were written on this machine. --prune DAYS deletes those of runs that ended well, or\n"
    .. "were undone, and are older.",
  examples = { "edeliver-relup history", "edeliver-relup history --node myapp@web1 --prune 90" },
}

function history.add_to_parser(parser)
  parser:option("--node", "Only what was done to this node."):argname "NODE"
  parser:option("--prune", "Delete the journals of runs that ended well and are older than so many days."):argname "DAYS"
    :convert(function(text)
      local days = math.tointeger(tonumber(text))
      if days and days >= 0 then return days end
      return nil, ("%q is no number of days"):format(text)
    end)
end

-- How a run ended, in a word.
local function ending(read)
  local ended = read.ended
  if not ended then return "not ended" end
  if (ended.still_suspended or 0) + (ended.still_undone or 0) > 0 then return "left things behind" end
  if ended.by == "recover" then return "recovered" end
  return ended.ok and "done" or "failed, undone"
end

local function row_of(path)
  local read, message = journal.read(path)
  if not read then return { path = path, node = "?", at = "?", ended = "unreadable", problem = message } end
  local run = read.run
  return {
    path = path, node = read.node, at = run.at, who = run.operator, name = run.application, version = run.version,
    ended = ending(read), owes = #read.pids + #read.undos,
  }
end

-- "2026-01-02T03:04:05Z" as seconds.
local function seconds(at)
  local year, month, day, hour, min, sec = at:match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)Z$"
  return year and os.time { year = year, month = month, day = day, hour = hour, min = min, sec = sec }
end

-- Deletes those that nobody needs any more. How many.
local function prune(rows, days)
  local before, deleted, kept = os.time(os.date "!*t") - days * 86400, 0, {}
  for _, row in ipairs(rows) do
    local at = seconds(row.at)
    local over = (row.ended == "done" or row.ended == "failed, undone" or row.ended == "recovered") and at and at < before
    if over and os.remove(row.path) then deleted = deleted + 1 else kept[#kept + 1] = row end
  end
  return kept, deleted
end

--- Runs the command.
-- @return exit code
function history.command(args)
  local out = args.output
  local folder, message, code = journal.folder()
  local names
  if folder then names, message, code = core.list_folder(folder) end
  if not names and code == "missing" then names = {} end
  if not names then
    out:fail(message, code)
    return exit.FAILED
  end
  local rows, deleted = {}, 0
  for name, kind in pairs(names) do
    if kind == "file" and name:find "%.jsonl$" then
      local row = row_of(folder .. "/" .. name)
      if not args.node or row.node == args.node then rows[#rows + 1] = row end
    end
  end
  table.sort(rows, function(a, b) return a.at == b.at and a.path > b.path or a.at > b.at end)
  if args.prune then rows, deleted = prune(rows, args.prune) end
  out:give { runs = output.array(rows), deleted = deleted }
  if #rows == 0 then out:line("No journals in " .. folder .. ".") end
  local shown = {}
  for i, row in ipairs(rows) do
    shown[i] = { row.at, row.node, row.version or "-", row.who or "-", row.ended, row.path:match "[^/]*$" }
  end
  if #rows > 0 then out:table({ "WHEN", "NODE", "VERSION", "WHO", "ENDED", "JOURNAL" }, shown) end
  if args.prune then out:line(("%d deleted."):format(deleted)) end
  return exit.OK
end

return history
