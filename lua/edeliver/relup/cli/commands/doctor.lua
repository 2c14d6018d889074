--- `doctor`: whether a node can be reached and upgraded, what is missing for that, and what to do.
--
-- @module edeliver.relup.cli.commands.doctor

local checkup = require "edeliver.relup.cli.checkup"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local session = require "edeliver.relup.cli.session"
local site_options = require "edeliver.relup.cli.site_options"

local doctor = {
  on_node = true,
  summary = "Check whether the node can be upgraded, and say what is missing.",
  description = "Asks, and changes nothing. Exit code 1 where something has to be mended before an upgrade.",
  examples = { "edeliver-relup myapp@web1 doctor" },
}

function doctor.add_to_parser(parser) site_options.add(parser) end

local MARKS = { ok = "✓", warning = "!", bad = "✗", unknown = "?" }
local COLORS = { ok = "green", warning = "yellow", bad = "red", unknown = "yellow" }

--- Runs the command.
-- @return exit code
function doctor.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  out:wait "checking"
  local found = checkup.run(node, args)
  local worst = exit.OK
  out:line(("✓ %s can be reached."):format(node.name), "green")
  for _, check in ipairs(found) do
    out:line(("%s %s."):format(MARKS[check.level], check.text), COLORS[check.level])
    if check.next then out:line(("  next: %s."):format(check.next)) end
    if check.level == "bad" then worst = exit.REFUSED end
  end
  out:give { checks = output.array(found), ok = worst == exit.OK }
  out:line(worst == exit.OK and "It can be upgraded." or "It cannot be upgraded yet.")
  return worst
end

return doctor
