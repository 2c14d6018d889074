--- `history`: what was done to which node, by whom, and how it ended, the newest first.
--
-- @module edeliver.relup.cli.commands.history

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local journal = require "edeliver.relup.undo.journal"
local journals = require "edeliver.relup.cli.journals"
local output = require "edeliver.relup.cli.output"

local history = {
  summary = "List what was done to which nodes, who did it, and how it ended.",
  description = "Reads the journals that were written by this account on this machine: of upgrades, deploys, rollbacks, scripts\n"
    .. "and rollouts. Those of what ended well, or was undone, are deleted when they are a year old, or by --prune DAYS.",
  examples = { "edeliver-relup history", "edeliver-relup myapp@web1 history", "edeliver-relup history --prune 90" },
}

function history.add_to_parser(parser)
  parser:argument("node", "Only what was done to this node."):args "?":argname "<node>"
  parser:option("--node", "Only what was done to this node; may be said more than once."):argname "NODE":count "*":target "nodes"
  parser:option("--prune", "Delete the journals of what ended well, or was undone, and is older than so many days.")
    :argname "DAYS":convert(function(text)
      local days = math.tointeger(tonumber(text))
      if days and days >= 0 then return days end
      return nil, ("%q is no number of days"):format(text)
    end)
end

--- Runs the command.
-- @return exit code
function history.command(args)
  local out, wanted, deleted = args.output, args.nodes, 0
  if args.node then wanted[#wanted + 1] = args.node end
  local rows, message, code = journals.list(wanted)
  if not rows then
    out:fail(message, code)
    return exit.FAILED
  end
  if args.prune then rows, deleted = journals.prune(rows, args.prune) end
  out:give { runs = output.array(rows), deleted = deleted }
  if #rows == 0 then
    out:line(("No journals%s in %s."):format(wanted[1] and " of " .. table.concat(wanted, " or ") or "", journal.folder()))
  end
  local shown = {}
  for i, row in ipairs(rows) do
    shown[i] = {
      row.at, row.node, row.command or "-", row.version or "-", row.who or "-", row.ended, row.path:match "[^/]*$",
    }
  end
  if #rows > 0 then out:table({ "WHEN", "NODE", "COMMAND", "VERSION", "WHO", "ENDED", "JOURNAL" }, shown) end
  if args.prune then out:line(count.of(deleted, "journal") .. " deleted.") end
  return exit.OK
end

return history
