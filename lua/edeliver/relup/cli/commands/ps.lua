--- `ps`: the processes of a node that are the largest, the busiest, or the most behind. Never reads messages.
--
-- @module edeliver.relup.cli.commands.ps

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local parser = require "edeliver.relup.cli.parser"
local processes = require "edeliver.relup.cli.processes"
local session = require "edeliver.relup.cli.session"
local term = require "edeliver.relup.term"

local ps = {
  on_node = true,
  summary = "List the top processes by memory, reductions or mailbox.",
  description = "With --window the processes are ordered by what changed in that time.",
  examples = {
    "edeliver-relup myapp@web1 ps",
    "edeliver-relup myapp@web1 ps --sort reductions --window 1000 --limit 5",
    "edeliver-relup myapp@web1 ps --app myapp --initial-call Elixir.MyApp.RoomChannel --sort mailbox",
  },
}

local KEYS = { memory = "memory", reductions = "reductions", mailbox = "message_queue_len" }

function ps.add_to_parser(to)
  to:option("--sort", "By what (default: memory).")
    :choices { "memory", "reductions", "mailbox" }:default "memory":show_default(false)
  to:option("--window", "Look twice, that many ms apart, and order by the change."):argname "MS":convert(parser.positive)
  to:option("--limit", "How many to show (default: 20).")
    :argname "N":convert(parser.positive):default "20":show_default(false)
  to:option("--app", "Only processes of this application."):argname "NAME"
  to:option("--initial-call", "Only where it contains this text, like my_module:init."):argname "TEXT"
  to:option("--function", "Only where the current function contains this text."):argname "TEXT":target "fun"
end

-- A process as it is ordered and filtered: only what has to be read of all.
local function sweep(node, pids, items)
  local infos, message, code = node:process_info(pids, items, 30000)
  if not infos then return nil, message, code end
  local found = {}
  for i, info in ipairs(infos) do
    if info then found[#found + 1] = { pid = pids[i], info = info } end
  end
  return found
end

-- Those whose group leader is the application's master: what application:get_application goes by.
local function of_application(node, found, name)
  local master, message, code = node:call("application_controller", "get_master", { term.atom(name) })
  if not master then return nil, message, code end
  if term.kind(master) ~= "pid" then return nil, ("%s does not run on %s"):format(name, node.name), "no_application" end
  return processes.filter(found, function(row) return row.info.group_leader == master end)
end

local function figure(row, key) return math.type(row.info[key]) == "integer" and row.info[key] or 0 end

-- Orders by the figure, or by how it has changed since the first look.
local function order(found, before, key)
  local was = {}
  for _, row in ipairs(before or {}) do was[row.pid] = figure(row, key) end
  for _, row in ipairs(found) do row.figure = figure(row, key) - (was[row.pid] or 0) end
  table.sort(found, function(a, b) return a.figure > b.figure end)
end

local function select_top(node, args)
  local key = KEYS[args.sort]
  -- No more than is needed: there may be a hundred thousand.
  local items = { key }
  if args.fun then items[#items + 1] = "current_function" end
  if args.app then items[#items + 1] = "group_leader" end
  local pids, message, code = node:processes(30000)
  if not pids then return nil, message, code end
  local before, found
  if args.window then
    before, message, code = sweep(node, pids, { key })
    if not before then return nil, message, code end
    local slept
    slept, message, code = node:sleep(args.window)
    if not slept then return nil, message, code end
  end
  found, message, code = sweep(node, pids, items)
  if found and args.app then found, message, code = of_application(node, found, args.app) end
  if found and args.fun then
    found = processes.filter(found, function(row)
      return processes.mfa(row.info.current_function):find(args.fun, 1, true) ~= nil
    end)
  end
  if found and args.initial_call then
    found, message, code = processes.by_initial_call(node, found, args.initial_call)
  end
  if not found then return nil, message, code end
  order(found, before, key)
  return found, #pids
end

--- Runs the command.
-- @return exit code
function ps.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local found, total, code = select_top(node, args)
  local rows, message
  if found then
    local top = {}
    for i = 1, math.min(#found, math.floor(args.limit)) do top[i] = found[i].pid end
    rows, message, code = processes.describe(node, top)
  else
    message = total
  end
  if not rows then
    out:fail(message, code)
    return exit.of(code)
  end
  if args.window then
    local change = {}
    for _, row in ipairs(found) do change[row.pid] = row.figure end
    for _, row in ipairs(rows) do row.change = change[row.pid] end
  end
  out:give { processes = processes.as_json(rows), shown = #rows, matching = #found, total = total, sort = args.sort }
  local header, shown = processes.HEADER, processes.as_rows(rows)
  if args.window then
    header = table.move(header, 1, #header, 1, {})
    header[#header + 1] = args.sort:upper() .. " CHANGE"
    for i, row in ipairs(rows) do table.insert(shown[i], row.change) end
  end
  out:table(header, shown)
  out:line(("%d of %s shown."):format(#rows, count.of(total, "process")))
  return exit.OK
end

return ps
