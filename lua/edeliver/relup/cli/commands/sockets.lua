--- `sockets`: the connections below an application's listeners.
--
-- @module edeliver.relup.cli.commands.sockets

local exit = require "edeliver.relup.cli.exit"
local option_names = require "edeliver.relup.cli.option_names"
local output = require "edeliver.relup.cli.output"
local parser = require "edeliver.relup.cli.parser"
local processes = require "edeliver.relup.cli.processes"
local session = require "edeliver.relup.cli.session"
local site_options = require "edeliver.relup.cli.site_options"

local sockets = {
  on_node = true,
  summary = "List an application's websockets, channels and http connections.",
  examples = { "edeliver-relup myapp@web1 sockets", "edeliver-relup myapp@web1 sockets --kind channels --limit 5" },
}

local KINDS = { "websockets", "channels", "http", "idle" }

function sockets.add_to_parser(to)
  site_options.add(to)
  to:option("--kind", "Only these; idle are websockets without a channel."):choices(KINDS)
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

local function show(args, node, found, kind)
  local pids = {}
  for i = 1, math.min(#found[kind], math.floor(args.limit)) do pids[i] = found[kind][i] end
  local rows, message, code = processes.describe(node, pids)
  if not rows then return nil, message, code end
  args.output:line(("%d %s"):format(#found[kind], kind), "bold")
  if #rows > 0 then args.output:table(processes.HEADER, processes.as_rows(rows)) end
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
    return code == "not_detected" and exit.REFUSED or exit.FAILED
  end
  args.output:line(site:describe())
  local result = { site = output.escape(site:describe()) }
  for _, kind in ipairs(KINDS) do
    if found[kind] and (not args.kind or args.kind == kind) then
      local message
      result[kind], message, code = show(args, node, found, kind)
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
