--- `plan`: what an upgrade between two releases is, before anybody tries it.
--
-- @module edeliver.relup.cli.commands.plan

local document = require "edeliver.relup.plan.document"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local plan_page = require "edeliver.relup.cli.plan_page"
local planner = require "edeliver.relup.plan"

local plan = {
  summary = "Say what an upgrade between two releases is: what changes, and whether it can be hot.",
  description = "Compares two releases by content, from their folders or tarballs. Needs no node and no Erlang.\n"
    .. "Exit code 0 where the upgrade is hot, 1 where it is cold or, with --strict, has warnings.",
  examples = {
    "edeliver-relup plan releases/myapp-1.4.5 _build/prod/rel/myapp",
    "edeliver-relup plan myapp-1.4.5.tar.gz myapp-1.4.6.tar.gz --json",
  },
}

function plan.add_to_parser(parser)
  parser:argument("old", "The release that runs now: a folder or a .tar.gz."):argname "<old>"
  parser:argument("new", "The release that it is to become."):argname "<new>"
  parser:flag("--strict", "Exit with 1 where there are warnings, too.")
  parser:flag("--all", "Show every name, however many there are.")
  parser:flag("--values", "Show old and new values of the configuration; what looks secret is masked.")
end

--- The exit code that a plan gives.
-- @tparam table made a plan
-- @tparam boolean strict
function plan.exit_code(made, strict)
  if made.verdict == "cold" or strict and planner.count(made, "warning") > 0 then return exit.REFUSED end
  return exit.OK
end

--- Runs the command.
-- @return exit code
function plan.command(args)
  local out = args.output
  local made, message, code = planner.compare(args.old, args.new)
  if not made then
    out:fail(message, code)
    return exit.FAILED
  end
  plan_page.show(out, made, { all = args.all, values = args.values })
  out:give(document.of(made, output.array))
  return plan.exit_code(made, args.strict)
end

return plan
