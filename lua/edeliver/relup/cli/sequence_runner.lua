--- Runs a sequence for `upgrade`, `downgrade` and `check`: options, the question, the run shown live, the report, the exit code.
--
-- @module edeliver.relup.cli.sequence_runner

local core = require "edeliver.relup.core"
local document = require "edeliver.relup.plan.document"
local exit = require "edeliver.relup.cli.exit"
local journals = require "edeliver.relup.cli.journals"
local hold = require "edeliver.relup.cluster.hold"
local report_page = require "edeliver.relup.cli.report_page"
local option_names = require "edeliver.relup.cli.option_names"
local output = require "edeliver.relup.cli.output"
local relup = require "edeliver.relup"
local session = require "edeliver.relup.cli.session"
local standard = require "edeliver.relup.sequence.standard"
local site_options = require "edeliver.relup.cli.site_options"

local sequence_runner = {}

--- The options of a command that installs a release, or would.
-- @tparam[opt] boolean no_version where the command line does not name the version
function sequence_runner.add_options(to, no_version)
  if not no_version then to:argument("version", "The version.") end
  site_options.add(to)
  site_options.add_for_run(to)
  to:option("--engine", "What changes the code: the swap (all modules and processes in one stop), or OTP's own engine.")
    :choices { "swap", "otp" }
  to:option("--rehearse", "Try code_change on the states of N processes of each module before anything is stopped.")
    :argname "N|all":convert(function(text)
      local number = math.tointeger(tonumber(text))
      if text == "all" or number and number > 0 then return number or text end
      return nil, "--rehearse takes a number of processes, or all"
    end)
  to:option("--journal", "Write the journal to this file (default: a new one in the XDG state folder)."):argname "FILE"
  to:flag("--json-lines", "A line of JSON for each event, as it happens; the last has the report.")
  to:option("--report", "Write the report to a file: one HTML page with a timeline."):argname "FILE.html"
end

--- The options of the install itself.
function sequence_runner.add_install_options(to)
  to:flag("--permanent", "Make it the release that the node starts with.")
  to:flag("--restart-emulator", "Allow a relup that restarts the emulator: every connection is lost then.")
  to:flag("--forget-runtime-config", "Allow the loss of what config providers (runtime.exs) have set.")
end

--- The options of `upgrade` and `downgrade`.
function sequence_runner.add_options_of_upgrades(to)
  sequence_runner.add_options(to)
  sequence_runner.add_install_options(to)
  to:flag("--in-relup", "Let OTP run the steps in the middle of its own script, for relups that suspend processes.")
end

--- The install that the command line asks for, and the steps around it, in the order that is safe.
-- @param args
-- @tparam boolean no_sockets nothing is suspended
function sequence_runner.steps(args, no_sockets)
  return standard.around(relup.install {
    permanent = args.permanent, restart_emulator = args.restart_emulator, forget_runtime_config = args.forget_runtime_config,
  }, no_sockets)
end

local REFUSING = { check_install_release = true, unpack = true, patch_relup = true }

-- A step that failed before anything was suspended refused the upgrade; one that failed later failed it. Another
-- upgrade that is active on the node refuses it, too, and so does a journal that cannot be begun.
local function exit_code(report)
  if report.ok then return exit.OK end
  if report.restarted then return exit.RESTARTED end
  if #report.still_suspended > 0 or #report.still_undone > 0 then return exit.SUSPENDED end
  if report.code == "busy" or #report.steps == 0 then return exit.REFUSED end
  for _, step in ipairs(report.steps) do
    if step.status == "failed" and step.code ~= "interrupted" and step.code ~= "lua" then
      local refused = REFUSING[step.name] or step.name:find "%(prepare%)$" or step.name:find "^check_"
      return refused and exit.REFUSED or exit.FAILED
    end
  end
  return exit.FAILED
end

local function texts(items)
  local given = output.array {}
  for i, item in ipairs(items) do given[i] = tostring(item) end
  return given
end

-- What swaps came to, with terms as Erlang prints them.
local function swaps(reports)
  if not reports then return nil end
  local given = output.array {}
  for i, swap in ipairs(reports) do
    local restarted = output.array {}
    for k, one in ipairs(swap.restarted) do
      restarted[k] = { module = one.module, pid = tostring(one.pid), reason = tostring(one.reason) }
    end
    given[i] = {
      outcome = swap.outcome, reason = swap.reason and tostring(swap.reason), processes = swap.processes, restarted = restarted,
      suspend = swap.suspend, load = swap.load, change = swap.change, resume = swap.resume, stand_still = swap.stand_still,
    }
  end
  return given
end

-- What a deploy or a rollback adds to that.
local function add_deployed(given, deployed)
  if not deployed then return given end
  local shipped, seen, back = deployed.shipped, deployed.verified, deployed.way_back
  given.plan = deployed.planned and document.of(deployed.planned.plan, output.array)
  given.shipped = shipped and { files = shipped.files, bytes = shipped.bytes, ms = shipped.ms }
  given.way_back = back and { possible = back.possible, why = back.why }
  given.permanent = deployed.is_permanent == true
  given.verified = seen and {
    modules = seen.modules, equal = seen.equal, not_loaded = seen.not_loaded, different = output.array(seen.different),
    children = output.array(seen.children), values = seen.values, values_different = output.array(seen.values_different),
  }
  return given
end

--- A report as data for JSON.
function sequence_runner.as_json(report)
  local given = {
    name = report.name, version = report.version, from = report.from, ok = report.ok,
    code = report.code, suspended = report.suspended, perhaps_suspended = report.perhaps_suspended,
    stood_still_ms = report.stood_still_ms, stood_still = report.stood_still,
    lost = texts(report.lost), journal = report.journal, restarted = report.restarted, returns_to = report.returns_to,
    swap = swaps(report.swap),
    would_suspend = report.would_suspend and #report.would_suspend, after_install = report.after_install,
    undone = output.array(report.undone), still_suspended = texts(report.still_suspended),
    still_undone = #report.still_undone, steps = output.array {},
  }
  for i, step in ipairs(report.steps) do
    local result = step.result
    given.steps[i] = {
      name = step.name, status = step.status, at = step.at, ms = step.ms, code = step.code,
      message = step.message and option_names.of(step.message),
      result = (type(result) == "string" or type(result) == "number") and result or nil,
    }
  end
  return add_deployed(given, report.deployed)
end

local LEVELS = { error = "red", warning = "yellow" }
local MARKS = { error = "✗ ", warning = "! " }

-- The run's configuration with what shows it live.
local function watched(config, out)
  config.command = out.command
  local waiting
  config.log = function(level, text, entry)
    out:event { event = "log", level = level, text = text }
    local done = entry and entry.status == "done"
    -- Why it failed is said at the end.
    if entry and not done and out:is_read_as_one() then text = ("%s failed after %.1f ms"):format(entry.name, entry.ms) end
    text = out:brief(option_names.of(text))
    out:line((done and "✓ " or MARKS[level] or "  ") .. text, done and "green" or LEVELS[level])
    if entry then waiting = nil elseif waiting then out:wait(waiting) end
  end
  config.on_step = function(entry, position, count)
    out:event { event = "step", name = entry.name, position = position, count = count, at = entry.at }
    local place = position > 0 and ("[%d/%d] "):format(position, count) or ""
    waiting = place .. entry.name .. " ..."
    out:wait(waiting)
  end
  return config
end

--- Says a report, to people and programs.
-- @return exit code
local function tell(args, report, message)
  local out = args.output
  out:clear_progress()
  out:give(sequence_runner.as_json(report))
  out:line ""
  out:line(out:brief(option_names.of(report:summary())), report.ok and "green" or "red")
  if not report.ok then out:fail(option_names.of(message), report.code) end
  local written, problem = true, nil
  if args.report then written, problem = report_page.write(args.report, report_page.page(report)) end
  if not written then out:fail("the report could not be written: " .. problem, "system") end
  if report.ok then journals.tidy() end
  return exit_code(report)
end

--- Runs a sequence on a node and shows it: the last thing that a program does.
-- @return exit code
function sequence_runner.run(args, node, steps, config)
  -- The signals are ours, so that a second one cannot cut the report off; the sequence minds the first. Another that came
  -- meanwhile has nothing left to end.
  core.catch_signals()
  local writable, why = report_page.is_writable(args.report)
  if not writable then
    why = "the report could not be written, so nothing was begun: " .. why
  else
    writable, why = args.output:begin(("%s of %s on %s%s"):format(args.command, config.name, node.name,
      config.version and " to " .. config.version or ""))
  end
  if not writable then
    core.block_signals()
    args.output:fail(why, "system")
    return exit.REFUSED
  end
  local ran, report, message, unfinished = pcall(function()
    local sequence = relup.sequence(steps)
    return sequence[args.in_relup and "install" or "run"](sequence, node, watched(config, args.output))
  end)
  core.block_signals()
  local told, status = true, nil
  if ran then told, status = pcall(tell, args, report or unfinished, message) end
  -- They stay held back until the program has ended: one that came now could only take its exit code and its document along.
  if not ran or not told then error(ran and status or report, 0) end
  return status
end

--- The whole of a command: connects, asks, runs.
-- @param args
-- @tparam ?string verb of the question, "Upgrades"; nil for a dry run
-- @tparam[opt] function look asked first, with the node: true where there is something to do; an exit code where all is done; or
-- nil, message, code
-- @return exit code
function sequence_runner.command(args, verb, look)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local found, message, code = true, nil, nil
  if look then found, message, code = look(node) end
  if math.type(found) then return found end
  local names, config, none
  if found then names, message, code = session.applications(node, args) end
  if names then
    config = site_options.config(args, names)
    none, message, code = site_options.has_no_sockets(args, node, config)
  end
  if none ~= nil and verb then found, message, code = hold.is_free(node) end
  if none == nil or not found then
    args.output:fail(option_names.of(message), code)
    return exit.of(code)
  end
  config.dry_run = not verb
  if verb and not (args.yes or session.is_local(args)) then
    local question = ("%s %s on %s to %s, with %s."):format(verb, config.name, node.name, args.version,
      none and "nothing suspended" or site_options.count_sockets(node, config))
    if not session.confirm(args, question) then return exit.REFUSED end
  end
  return sequence_runner.run(args, node, sequence_runner.steps(args, none), config)
end

return sequence_runner
