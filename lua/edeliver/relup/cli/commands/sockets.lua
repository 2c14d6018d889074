--- `sockets`: the connections below an application's listeners, with who is at the other end and what they have joined.
--
-- @module edeliver.relup.cli.commands.sockets

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local option_names = require "edeliver.relup.cli.option_names"
local output = require "edeliver.relup.cli.output"
local parser = require "edeliver.relup.cli.parser"
local processes = require "edeliver.relup.cli.processes"
local session = require "edeliver.relup.cli.session"
local site_options = require "edeliver.relup.cli.site_options"
local socket_details = require "edeliver.relup.web.socket_details"

local sockets = {
  on_node = true,
  summary = "List an application's websockets, channels and http connections.",
  description = "With the peer's address, the topics that a websocket has joined, and for how long it is open, where the server\n"
    .. "knows that (Bandit does, cowboy does not). Behind a proxy the peer is the proxy.",
  examples = {
    "edeliver-relup myapp@web1 sockets", "edeliver-relup myapp@web1 sockets --kind channels --sort mailbox --limit 5",
  },
}

local KINDS = { "websockets", "channels", "http", "idle" }
local NOUNS = { websockets = "websocket", channels = "channel", http = "http connection", idle = "idle websocket" }
local KEYS = { mailbox = "message_queue_len", memory = "memory", reductions = "reductions" }
local HEADER = { "PID", "PEER", "TOPICS", "AGE", "MAILBOX", "MEMORY", "CURRENT FUNCTION" }
local TOPICS = 3 -- of a socket are shown

function sockets.add_to_parser(to)
  site_options.add(to)
  to:option("--kind", "Only these; idle are websockets without a channel."):choices(KINDS)
  to:option("--sort", "By what, the largest first (default: as the pids are, the oldest first, by and large).")
    :choices { "mailbox", "memory", "reductions" }
  to:option("--limit", "How many of each kind to show (default: 20).")
    :argname "N":convert(parser.positive):default "20":show_default(false)
end

local function look(node, args)
  local site, message, code = site_options.find(node, args)
  if not site then return nil, message, code end
  local found
  found, message, code = site:connections()
  if not found then return nil, message, code end
  return found, site
end

-- The first of them, in the order that is wanted: only the figure to sort by is read of all.
local function first_of(node, args, pids)
  local order, first = {}, {}
  if args.sort and #pids > 0 then
    local key, figures = KEYS[args.sort], {}
    local infos, message, code = node:process_info(pids, { key }, 30000)
    if not infos then return nil, message, code end
    for i = 1, #pids do order[i], figures[i] = i, infos[i] and math.tointeger(infos[i][key]) or -1 end
    table.sort(order, function(a, b) return figures[a] == figures[b] and a < b or figures[a] > figures[b] end)
  end
  for i = 1, math.min(#pids, math.floor(args.limit)) do first[i] = pids[order[i] or i] end
  return first
end

local UNITS = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } }

-- "2 d 3 h", "5 m 20 s": the two largest units.
local function duration(ms)
  local left = ms // 1000
  for i, unit in ipairs(UNITS) do
    if left >= unit[1] then
      local next_unit = UNITS[i + 1]
      local rest = next_unit and left % unit[1] // next_unit[1] or 0
      return ("%d %s"):format(left // unit[1], unit[2]) .. (rest > 0 and (" %d %s"):format(rest, next_unit[2]) or "")
    end
  end
  return "0 s"
end

local function topics_of(row)
  local text = table.concat(row.topics, ", ", 1, math.min(#row.topics, TOPICS))
  return #row.topics > TOPICS and ("%s, %d more"):format(text, #row.topics - TOPICS) or text
end

local function as_rows(rows)
  local shown = {}
  for i, row in ipairs(rows) do
    shown[i] = {
      tostring(row.pid), row.peer or "-", row.topics[1] and topics_of(row) or "-", row.age and duration(row.age) or "-",
      row.mailbox, row.memory, row.current_function,
    }
  end
  return shown
end

-- Adds what is known of the sockets to what is known of their processes.
local function add_details(node, site, rows)
  local pids = {}
  for i, row in ipairs(rows) do pids[i] = row.pid end
  local details, message, code = socket_details.of(node, site, pids)
  if not details then return nil, message, code end
  for i, row in ipairs(rows) do
    row.peer, row.topics, row.age = details[i].peer, output.array(details[i].topics), details[i].age
  end
  return rows
end

local function show(args, node, site, found, kind)
  local pids, message, code = first_of(node, args, found[kind])
  local rows
  if pids then rows, message, code = processes.describe(node, pids) end
  if rows then rows, message, code = add_details(node, site, rows) end
  if not rows then return nil, message, code end
  args.output:line(count.of(#found[kind], NOUNS[kind]), "bold")
  if #rows > 0 then args.output:table(HEADER, as_rows(rows)) end
  return { count = #found[kind], shown = processes.as_json(rows) }
end

--- Runs the command.
-- @return exit code
function sockets.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local found, site, code = look(node, args)
  if not found then
    args.output:fail(option_names.of(site), code)
    return exit.of(code)
  end
  args.output:line(site:describe())
  local result = { site = output.escape(site:describe()) }
  for _, kind in ipairs(KINDS) do
    if found[kind] and (not args.kind or args.kind == kind) then
      local message
      result[kind], message, code = show(args, node, site, found, kind)
      if not result[kind] then
        args.output:fail(message, code)
        return exit.FAILED
      end
    end
  end
  args.output:give(result)
  return exit.OK
end

return sockets
