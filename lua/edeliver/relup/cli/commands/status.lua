--- `status`: what a node is and how it does, at a glance. Changes nothing.
--
-- @module edeliver.relup.cli.commands.status

local core = require "edeliver.relup.core"
local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local guard = require "edeliver.relup.undo.guard"
local option_names = require "edeliver.relup.cli.option_names"
local output = require "edeliver.relup.cli.output"
local parse = require "edeliver.relup.cli.parser"
local release_handler = require "edeliver.relup.otp.release_handler"
local session = require "edeliver.relup.cli.session"
local swap = require "edeliver.relup.step.swap"
local term = require "edeliver.relup.term"
local site_options = require "edeliver.relup.cli.site_options"

local status = {
  on_node = true,
  summary = "Show versions, sockets, suspended processes, the guard and the swap.",
  examples = { "edeliver-relup myapp@web1 status", "edeliver-relup myapp@web1 status --json | jq .result.suspended" },
}

function status.add_to_parser(parser)
  site_options.add(parser)
  parser:option("--watch", "Show it again every N seconds, until Ctrl-C."):argname "N":convert(parse.positive)
end

-- Asks one question; the first that fails ends the gathering, by an error that `gather` catches.
local function ask(node, module, fun, ...)
  local answer, message, code = node:call(module, fun, { ... })
  if answer == nil then error({ message = message, code = code }, 0) end
  return answer
end

-- The listeners of the application and what hangs from them; why not, where there are none to be found.
local function sockets_of(node, args)
  local site, name = site_options.find(node, args)
  if not site then return { none = option_names.of(name) } end
  local found, problem = site:connections()
  if not found then return { none = option_names.of(problem) } end
  local pools = site:acceptors()
  local acceptors = 0
  for _, pool in ipairs(pools or {}) do acceptors = acceptors + #pool.running end
  return {
    application = name, listeners = site:describe(), acceptors = pools and acceptors, websockets = #found.websockets,
    channels = #found.channels, http = #found.http, idle = #found.idle,
  }
end

local function swap_facts(found)
  local old = {}
  for i, each in ipairs(found.old) do
    local pids = {}
    for k, pid in ipairs(each.pids) do pids[k] = tostring(pid) end
    old[i] = { module = each.module, pids = output.array(pids), why = each.why }
  end
  return { status = found.status, old = output.array(old) }
end

local function gather(node, args)
  local facts = {
    otp_release = term.text(ask(node, "erlang", "system_info", term.atom "otp_release")),
    processes = ask(node, "erlang", "system_info", term.atom "process_count"),
  }
  local release, releases = release_handler.current(node)
  facts.release, facts.releases = release, output.array(release and releases or {})
  if not release then facts.no_release = releases end
  local sitting, sleeping, asleep = node:suspended()
  if not sitting then error({ message = sleeping, code = asleep }, 0) end
  facts.suspended, facts.hibernating, facts.perhaps_suspended = #sitting, #sleeping + #asleep, #sleeping
  local who, problem, why = guard.who(node)
  if who == nil then error({ message = problem, code = why }, 0) end
  facts.guard = who or nil
  local swapping, trouble, kind = swap.who(node)
  if swapping == nil then error({ message = trouble, code = kind }, 0) end
  facts.swap = swapping and swap_facts(swapping) or nil
  facts.site = sockets_of(node, args)
  return facts
end

local function describe_guard(who)
  if not who then return "none" end
  local text = ("of %s (%s), owes %s and %s"):format(who.who, who.status, count.of(who.pids, "resume"),
    count.of(who.undos, "call"))
  return who.left and ("%s in %.1f s"):format(text, who.left / 1000) or text
end

local function describe_swap(found)
  if not found then return "none" end
  local words = {}
  for i, each in ipairs(found.old) do
    words[i] = each.why and ("old code of %s: %s"):format(each.module, each.why) or "old code of " .. each.module
  end
  return words[1] and ("%s, %s"):format(found.status, table.concat(words, "; ")) or found.status
end

-- Those that do not show whether they are suspended.
local function describe_hibernating(facts)
  local perhaps = facts.perhaps_suspended
  if perhaps == 0 then return tostring(facts.hibernating) end
  return ("%d, of which %d do not show whether they are suspended"):format(facts.hibernating, perhaps)
end

local function show(out, node, facts)
  local site = facts.site
  local releases = {}
  for i, release in ipairs(facts.releases) do releases[i] = ("%s (%s)"):format(release.version, release.status) end
  out:facts {
    { "node", node.name },
    { "OTP", facts.otp_release },
    { "release", facts.release and ("%s %s"):format(facts.release.name, facts.release.version) or "none: " .. facts.no_release },
    { "releases", releases[1] and table.concat(releases, ", ") },
    { "listeners", site.listeners or "none found: " .. tostring(site.none) },
    { "acceptors", site.acceptors },
    { "websockets", site.websockets },
    { "channels", site.channels },
    { "http", site.http },
    { "processes", facts.processes },
    { "suspended", facts.suspended },
    { "hibernating", describe_hibernating(facts) },
    { "guard", describe_guard(facts.guard) },
    { "swap", describe_swap(facts.swap) },
  }
end

-- Asks and shows once. Whether the node answered.
local function once(node, args)
  local out = args.output
  local answered, facts = pcall(gather, node, args)
  if not answered then
    if type(facts) ~= "table" then error(facts, 0) end
    out:fail(facts.message, facts.code)
    return false
  end
  out:give(facts)
  if args.watch and out.is_terminal then io.stdout:write "\27[H\27[2J" end
  show(out, node, facts)
  return true
end

--- Runs the command.
-- @return exit code
function status.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  if args.watch then core.catch_signals() end
  local answered = once(node, args)
  while answered and args.watch do
    core.sleep(args.watch * 1000)
    if core.take_signal() then break end
    if not args.output.is_terminal then args.output:line "" end
    answered = once(node, args)
  end
  if args.watch then core.release_signals() end
  return answered and exit.OK or exit.FAILED
end

return status
