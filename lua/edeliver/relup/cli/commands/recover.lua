--- `recover`: finds what an accident has left suspended or stopped on a node, shows it, and undoes it.
--
-- @module edeliver.relup.cli.commands.recover

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local relup = require "edeliver.relup"
local session = require "edeliver.relup.cli.session"

local recover = {
  on_node = true,
  summary = "Undo what an accident has left behind: suspended processes, stopped acceptors.",
  description = "With the journal of the run that had the accident it undoes what that run still owed, and nothing else. The\n"
    .. "journal must be yours, and nobody else may be able to write it. A run that is active is left alone.",
  examples = {
    "edeliver-relup myapp@web1 recover --dry-run",
    "edeliver-relup myapp@web1 recover ~/.local/state/edeliver-relup/myapp@web1-20260102T030405Z-1a2b.jsonl",
  },
}

function recover.add_to_parser(parser)
  parser:argument("journal", "The journal of that run."):args "?":argname "<journal>"
  parser:flag("--dry-run", "Only show what would be undone.")
  parser:flag("--force", "Also make calls from the journal that no step of ours journals: look at them first.")
  parser:flag("--end-guard", "Also end the guard of an earlier upgrade that tries in vain to undo it.")
end

local COLORS = { warning = "yellow", error = "red" }

local function as_json(result)
  local still = output.array {}
  for i = 1, #result.still_suspended do still[i] = tostring(result.still_suspended[i]) end
  return {
    ok = result.ok, found = #result.found, undos = result.undos, still_suspended = still,
    still_undone = #result.still_undone, restarted = result.restarted,
  }
end

-- A journal is a file that cannot be read here; elsewhere it is one that cannot be begun.
local function exit_code(code) return code == "journal" and exit.FAILED or exit.of(code) end

local function run(args, node, dry_run)
  local function log(level, text) args.output:line(text, COLORS[level]) end
  return relup.recover(node, args.journal, { dry_run = dry_run, log = log, force = args.force, end_guard = args.end_guard })
end

-- Looks first and asks, where the node is not local. Gives an exit code where that ends it.
local function look_first(args, node)
  if args.dry_run or args.yes or session.is_local(args) then return nil end
  local seen, message, code = run(args, node, true)
  if not seen then
    args.output:fail(message, code)
    return exit_code(code)
  end
  if #seen.found == 0 and seen.undos == 0 then
    args.output:line "Nothing to recover"
    args.output:give(as_json(seen))
    return exit.OK
  end
  local will = {}
  if #seen.found > 0 then will[1] = "resumes " .. count.of(#seen.found, "process") end
  if seen.undos > 0 then will[#will + 1] = "makes " .. count.of(seen.undos, "call") end
  local question = ("On %s, this %s."):format(node.name, table.concat(will, " and "))
  if not session.confirm(args, question) then return exit.REFUSED end
end

--- Runs the command.
-- @return exit code
function recover.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local ended = look_first(args, node)
  if ended then return ended end
  local result, message, code = run(args, node, args.dry_run)
  if not result then
    args.output:fail(message, code)
    return exit_code(code)
  end
  args.output:give(as_json(result))
  if args.dry_run or result.ok then return exit.OK end
  args.output:fail(("%s still suspended, %s failed"):format(
    count.of(#result.still_suspended, "process"), count.of(#result.still_undone, "call")), "suspended")
  return exit.SUSPENDED
end

return recover
