--- `rollout`: a release for many nodes: a canary, batches, health, the way back; or all of them at the same moment.
--
-- @module edeliver.relup.cli.commands.rollout

local cluster = require "edeliver.relup.cluster"
local columns = require "edeliver.relup.cli.columns"
local core = require "edeliver.relup.core"
local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local journal = require "edeliver.relup.cluster.journal"
local node_list = require "edeliver.relup.cli.node_list"
local output = require "edeliver.relup.cli.output"
local progress = require "edeliver.relup.cli.progress"
local relup = require "edeliver.relup"
local report_page = require "edeliver.relup.cli.report_page"
local session = require "edeliver.relup.cli.session"
local term = require "edeliver.relup.term"

local rollout = {
  may_connect = true,
  summary = "Upgrade many nodes: canary, batches, health, the way back; or all at once.",
  description = "PATH is a release as `deploy` takes it. Everything that can be found out is found out on all nodes before\n"
    .. "the first is touched. Ctrl-C once: no new node begins; twice: you leave those in the middle to their workers,\n"
    .. "which end or undo by themselves. From another terminal: `rollout status`, `pause`, `continue`, `abort`, `revert`.\n"
    .. "After an accident run the same command again: nodes that have the version are passed over.",
  examples = {
    "edeliver-relup rollout _build/prod/rel/myapp --node myapp@web1 --node myapp@web2 --canary 1 --auto-revert",
    "edeliver-relup rollout myapp-1.4.6.tar.gz --cluster myapp@web1 --max-parallel 25% --healthy-command './check $NODE'",
    "edeliver-relup rollout myapp-1.4.6.tar.gz --cluster myapp@web1 --together",
    "edeliver-relup rollout status",
  },
}

local COMMANDS = { status = true, pause = true, continue = true, abort = true, revert = true }

local function number(text)
  local value = math.tointeger(tonumber(text))
  if value and value >= 0 then return value end
  return nil, ("%q is no number"):format(text)
end

local function seconds(text)
  local value = tonumber(text)
  if value and value >= 0 then return value end
  return nil, ("%q is no number of seconds"):format(text)
end

local function parallel(text)
  if text:find "^%d+%%$" then return text end
  local value = number(text)
  if value and value > 0 then return value end
  return nil, ("%q is neither a number of nodes nor per cent of them"):format(text)
end

function rollout.add_to_parser(parser)
  parser:argument("path", "The release: a folder, or a .tar.gz; or one of status, pause, continue, abort, revert.")
    :argname "<path>":args "?"
  parser:option("--node", "A node; may be said more than once."):argname "NODE":count "*":target "nodes"
  parser:option("--nodes-file", "A file with a line a node: its name, then address=, ssh=, port=, epmd_port=, tls_ca=, ...")
    :argname "FILE"
  parser:option("--cluster", "This node and all that it is connected to."):argname "NODE"
  parser:option("--to", "Instead of PATH: a version that lies on the nodes, with a relup."):argname "VERSION"
  parser:option("--app", "The application (default: the release's name)."):argname "NAME"
  parser:option("--canary", "So many nodes first; the others begin when these are healthy."):argname "N":convert(number)
  parser:option("--max-parallel", "How many nodes at the same time (default: 1)."):argname "N|P%":convert(parallel)
  parser:option("--min-healthy-time", "How long a node has to be healthy (default: 10)."):argname "S":convert(seconds)
  parser:option("--healthy-deadline", "How long it has for that (default: 300)."):argname "S":convert(seconds)
  parser:option("--stagger", "Wait so long between two beginnings."):argname "S":convert(seconds)
  parser:flag("--auto-revert", "Where a node fails, all that were upgraded go back, the last first.")
  parser:flag("--keep-going", "A node that is lost stops nobody.")
  parser:option("--healthy", "A function on the node that says true or ok: 'Module function [Argument, ...]'."):argname "M F A"
  parser:option("--healthy-command", "A shell command that must succeed; NODE is in its environment."):argname "CMD"
  parser:flag("--together", "All nodes swap at the same moment, or none does.")
  parser:flag("--plan", "Show what would be done, and stop there.")
  parser:flag("--permanent", "Make it the release that the nodes start with.")
  parser:flag("--anyway", "Override reasons to restart instead.")
  parser:flag("--keep-env", "Keep the configuration that runs.")
  parser:flag("--version-suffix", "Where nodes run this version with other content: name this one anew.")
  parser:option("--start-child", "Start this new child of an application, too; may be said more than once.")
    :argname "MODULE":count "*"
  parser:option("--steps", "Steps of your own (default: the release folder's relup.lua)."):argname "FILE"
  parser:option("--verify-key", "Ed25519 public key (PEM): <path>.sig must be its signature of the tarball.")
    :argname "FILE"
  parser:flag("--no-sockets", "Suspend nothing, although there are websockets.")
  parser:option("--id", "Which rollout status, pause, continue, abort or revert is for, where several are active."):argname "ID"
  parser:option("--report", "Write the report to a file: one HTML page with a timeline of the nodes."):argname "FILE.html"
  parser:flag("--json-lines", "A line of JSON for each event, as it happens.")
end

-- Showing --------------------------------------------------------------------------------------------------------------

local COLORS = {
  done = "green", already = "green", watching = "yellow", running = "yellow", failed = "red", unhealthy = "red", lost = "red",
  stuck = "red", reverting = "yellow", reverted = "yellow",
}

-- One line for a node.
local function line_of(node)
  local words = { cluster.STATES[node.state] or node.state }
  if node.state == "running" and node.step then words[1] = ("%s: %s"):format(words[1], node.step) end
  local report = node.report
  if report and report.ok and (report.suspended or 0) > 0 then
    words[#words + 1] = ("%s, paused for %.0f ms at most"):format(count.of(report.suspended or 0, "socket"),
      report.stood_still_ms or 0)
  end
  if node.problem and node.state == "watching" then words[#words + 1] = node.problem end
  if node.message and not (report and report.ok) then words[#words + 1] = node.message end
  return table.concat(words, "; ")
end

-- What the plans warn of, each once, with the nodes where that is not all of them.
local function show_warnings(out, nodes)
  local order, of = {}, {}
  for _, node in ipairs(nodes) do
    for _, reason in ipairs(node.plan and node.plan.reasons or {}) do
      if reason.level ~= "note" then
        if not of[reason.text] then
          order[#order + 1] = reason
          of[reason.text] = {}
        end
        table.insert(of[reason.text], node.name)
      end
    end
  end
  for _, reason in ipairs(order) do
    local where = of[reason.text]
    out:line(("%s: %s"):format(#where < #nodes and table.concat(where, ", ") or "warning", reason.text), "yellow")
    if reason.next then out:line(("  next: %s"):format(reason.next)) end
  end
end

local function show_plan(out, self)
  local rows = {}
  for i, node in ipairs(self.nodes) do
    local plan = node.plan
    rows[i] = {
      node.name, node.facts.version, node.state == "already" and "has it already" or self.version, plan and plan.verdict or "-",
      node.facts.sockets, plan and plan.bytes and progress.bytes(plan.bytes) or "-",
    }
  end
  out:table({ "NODE", "RUNS", "BECOMES", "VERDICT", "SOCKETS", "TO SHIP" }, rows)
  show_warnings(out, self.nodes)
  if self.are_alone then
    out:line("No node is connected to another: these are no cluster, or all links between them are cut.", "yellow")
  end
  for _, text in ipairs(self.skewed) do
    out:line(("Old and new nodes talk to each other meanwhile: %s"):format(text), "yellow")
  end
end

-- The table that lives, on a terminal; lines elsewhere.
local function watcher(out)
  local drawn = 0
  local function draw(self)
    out:clear_progress()
    if drawn > 0 then io.stdout:write(("\27[%dA"):format(drawn)) end
    local width = 0
    for _, node in ipairs(self.nodes) do width = math.max(width, #node.name) end
    for _, node in ipairs(self.nodes) do
      local text = ("%s%s  %s"):format(node.name, (" "):rep(width - #node.name), line_of(node))
      text = columns.cut(output.escape(out:brief(text)):gsub("\n.*", ""), (core.columns() or 80) - 1)
      io.stdout:write("\27[2K", COLORS[node.state] and out:paint(COLORS[node.state], text) or text, "\n")
    end
    drawn = #self.nodes
    io.stdout:flush()
    out:wait "rolling out"
  end
  return function(event, self)
    out:event(event)
    if out.json then
      return
    elseif event.event == "ready_to_begin" then
      show_plan(out, self)
      drawn = 0
    elseif out.is_terminal then
      draw(self)
    elseif event.event == "state" then
      for _, node in ipairs(self.nodes) do
        if node.name == event.node then out:line(out:brief(("%s: %s"):format(node.name, line_of(node))), COLORS[node.state]) end
      end
    elseif event.event == "log" and event.level ~= "info" then
      out:line(out:brief(("%s: %s"):format(event.node, event.text)), event.level == "error" and "red" or "yellow")
    elseif event.event == "said" then
      out:line(event.text)
    end
  end
end

-- How far apart the nodes changed, by their own clocks where these were looked at; nil where they did not change together.
local function skew_in_words(report)
  if not report.skew_ms then return nil end
  if not report.skew_within_ms then return ("at most %.1f ms"):format(report.skew_ms) end
  return ("%.1f ms (give or take %.2f)"):format(report.skew_ms, report.skew_within_ms)
end

local function show_report(out, report)
  if report.skew_ms then out:line(("From the first node's new code to the last one's: %s."):format(skew_in_words(report))) end
  if report.ok then
    out:line(("%s on %s: done in %.1f s. Journal: %s"):format(report.version, count.of(#report.nodes, "node"), report.ms / 1000,
      report.journal), "green")
  end
end

-- The report as a page.
local function page_of(report)
  local entries, after = {}, {}
  for i, node in ipairs(report.nodes) do
    entries[i] = {
      name = node.name, ok = node.state == "done" or node.state == "already", at = node.at, ms = node.ms, text = line_of {
        state = node.state, message = node.message, report = node.ms and {
          ok = true, suspended = node.suspended, stood_still_ms = node.stood_still_ms,
        },
      },
    }
  end
  if report.message then after[1] = "<pre>" .. report_page.escape(report.message) .. "</pre>" end
  return report_page.document(("Rollout %s"):format(report.version and "of " .. report.version or report.id or ""), report.ok,
    report.ending, {
      { "nodes", tostring(#report.nodes) }, { "took", ("%.1f s"):format(report.ms / 1000) },
      { "from the first to the last", skew_in_words(report) }, { "journal", report.journal },
    }, "node", entries, after)
end

local function exit_code(report)
  if report.ok or report.ending == "planned" then return exit.OK end
  if report.ending == "refused" then return exit.of(report.code) end
  for _, node in ipairs(report.nodes) do
    if (node.still_suspended or 0) + (node.still_undone or 0) > 0 then return exit.SUSPENDED end
  end
  for _, node in ipairs(report.nodes) do
    if node.restarted then return exit.RESTARTED end
  end
  return exit.FAILED
end

-- From another terminal --------------------------------------------------------------------------------------------------

local function show_status(out, found)
  local first, rows = found.first, {}
  local states = output.array {}
  for i, name in ipairs(found.order) do
    local line = found.nodes[name]
    rows[i] = { name, cluster.STATES[line.state] or line.state, line.message or "" }
    states[i] = { name = name, state = line.state, message = line.message }
  end
  local how = found.ended and (found.ended.ok and "done" or found.ended.ending or "failed")
    or journal.is_active(found) and "active" or "its program is gone: run the same command again"
  out:give { id = first.id, operator = first.operator, at = first.at, ending = how, nodes = states, journal = found.path }
  out:line(("Rollout %s of %s, by %s: %s."):format(first.id, first.release or first.version, first.operator, how))
  if #rows > 0 then out:table({ "NODE", "STATE", "" }, rows) end
end

-- Which ones are active, where a word is meant for one of them.
local function several(active)
  local words = {}
  for i, one in ipairs(active) do
    local first = one.first
    words[i] = ("%s (of %s, by %s, on %s)"):format(first.id, first.release or first.version, first.operator,
      type(first.nodes) == "table" and table.concat(first.nodes, ", ") or "?")
  end
  return ("%d rollouts are active; say which one with --id: %s"):format(#active, table.concat(words, "; "))
end

-- What takes back one that has ended.
local AFTER = ". `edeliver-relup NODE rollback` takes one node back to the version before; a rollout of the old release takes "
  .. "all of them back"

local function command_of_another(args)
  local out, word = args.output, args.path
  local all, message, code = journal.all()
  if not all then
    out:fail(message, code)
    return exit.FAILED
  end
  if not all[1] then
    out:fail("there was no rollout from this account", "no_rollout")
    return exit.REFUSED
  end
  local active, named = {}, nil
  for _, one in ipairs(all) do
    if journal.is_active(one) then active[#active + 1] = one end
    if one.first.id == args.id then named = one end
  end
  if args.id and not named then
    out:fail(("there was no rollout %s from this account"):format(args.id), "no_rollout")
    return exit.REFUSED
  end
  local found = named or active[1] or all[1]
  if word == "status" then
    show_status(out, found)
    if not named and #active > 1 then out:line(several(active)) end
    return exit.OK
  end
  if not named and #active > 1 then
    out:fail(several(active), "ambiguous")
    return exit.REFUSED
  end
  if not journal.is_active(found) then
    out:fail(("no rollout is active: %s has ended%s"):format(found.first.id, word == "revert" and AFTER or ""), "no_rollout")
    return exit.REFUSED
  end
  local said
  said, message, code = journal.say(found, word)
  if not said then
    out:fail(message, code)
    return exit.FAILED
  end
  out:give { id = found.first.id, said = word }
  out:line(("Told rollout %s: %s."):format(found.first.id, word))
  return exit.OK
end

-- The command ------------------------------------------------------------------------------------------------------------

-- 'Elixir.MyApp.Health check [1]' as a list.
local function mfa_of(text)
  local module, fun, rest = text:match "^(%S+)%s+(%S+)%s*(.*)$"
  if not module then return nil, "--healthy takes a module, a function and its arguments: 'Elixir.MyApp ready'", "badarg" end
  local mfa = { module, fun }
  if rest ~= "" then
    local terms, message = relup.consult.parse(rest .. ".")
    if not terms or term.kind(terms[1]) ~= "list" then
      return nil, ("the arguments of --healthy are a list as Erlang writes it: %s"):format(message or rest), "badarg"
    end
    for i = 1, #terms[1] do mfa[2 + i] = terms[1][i] end
  end
  return mfa
end

local function config_of(args, nodes, connect)
  local healthy, message, code = args.healthy_command, nil, nil
  if args.healthy then healthy, message, code = mfa_of(args.healthy) end
  if args.healthy and not healthy then return nil, message, code end
  local function ms(value) return value and value * 1000 end
  return {
    nodes = nodes, connect = connect, release = args.path, version = args.to, name = args.app, canary = args.canary,
    max_parallel = args.max_parallel, min_healthy_time = ms(args.min_healthy_time),
    healthy_deadline = ms(args.healthy_deadline), stagger = ms(args.stagger), auto_revert = args.auto_revert,
    keep_going = args.keep_going, healthy = healthy, together = args.together, permanent = args.permanent,
    anyway = args.anyway, keep_env = args.keep_env, version_suffix = args.version_suffix, no_sockets = args.no_sockets,
    plan_only = args.plan, steps = args.steps, verify_key = args.verify_key,
    start_children = #args.start_child > 0 and args.start_child or nil,
  }
end

--- Runs the command.
-- @return exit code
function rollout.command(args)
  local out = args.output
  if COMMANDS[args.path] then return command_of_another(args) end
  if (args.path == nil) == (args.to == nil) then
    out:fail("a rollout takes either the path of a release, or --to VERSION", "badarg")
    return exit.USAGE
  end
  local nodes, options, code = node_list.find(args)
  local config, message
  if nodes then config, message, code = config_of(args, nodes, options) else message = options end
  if not config then
    out:fail(message, code)
    return exit.of(code)
  end
  config.on_event = watcher(out)
  config.confirm = function(self)
    local local_all = true
    for _, node in ipairs(self.nodes) do
      local_all = local_all and session.is_local { node = node.name, address = node.connect.address, ssh = node.connect.ssh }
    end
    return local_all or session.confirm({ yes = args.yes, node = "nobody@nowhere", output = out },
      ("Upgrades %s to %s%s."):format(count.of(#self.nodes, "node"), self.version, args.together and " at the same moment" or ""))
  end
  local writable, why = report_page.is_writable(args.report)
  if not writable then
    why = "the report could not be written, so nothing was begun: " .. why
  else
    writable, why = out:begin(("rollout to %s"):format(count.of(#nodes, "node")))
  end
  if not writable then
    out:fail(why, "system")
    return exit.REFUSED
  end
  local report, problem, failed = relup.rollout(config)
  local given = report or failed
  given.nodes, given.skewed = output.array(given.nodes), output.array(given.skewed)
  out:give(given)
  if report then show_report(out, report) else out:fail(problem, failed.code) end
  if args.report then
    local written, message_of_page = report_page.write(args.report, page_of(given))
    if not written then out:fail("the report could not be written: " .. message_of_page, "system") end
  end
  return exit_code(given)
end

return rollout
