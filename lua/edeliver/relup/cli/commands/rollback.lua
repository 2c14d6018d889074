--- `rollback`: back to the release that was deployed over.
--
-- @module edeliver.relup.cli.commands.rollback

local deployer = require "edeliver.relup.deploy"
local deploying = require "edeliver.relup.cli.deploying"
local exit = require "edeliver.relup.cli.exit"
local live = require "edeliver.relup.plan.live"
local own_steps = require "edeliver.relup.deploy.own_steps"
local relup = require "edeliver.relup"
local session = require "edeliver.relup.cli.session"

local rollback = {
  on_node = true,
  summary = "Go back to the release that was deployed over, with all websockets kept.",
  description = "Code, states (by code_change down), children, protocols and configuration go back. The release is not needed\n"
    .. "here: what the way back takes lies on the node. Where there is none, that is said, and nothing is changed.",
  examples = { "edeliver-relup myapp@web1 rollback", "edeliver-relup myapp@web1 rollback --to 1.4.5" },
}

function rollback.add_to_parser(parser)
  deploying.add_options(parser)
  parser:option("--steps", "Steps of your own: a relup.lua; of it, those for the way down."):argname "FILE"
  parser:option("--to", "The version, where the way back leads to several."):argname "VERSION"
end

--- Runs the command.
-- @return exit code
function rollback.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local steps, found, processes, message, code
  if args.steps then
    steps, message, code = own_steps.read(args.steps, "down")
  else
    steps = { before = {}, after = {} }
  end
  if steps then found, message, code = deployer.way_back(node, args.to) end
  if found then processes, message, code = live.processes(node, found.changed) end
  if not processes then
    args.output:fail(message, code)
    return exit.of(code)
  end
  local sum = 0
  for _, it in ipairs(processes) do sum = sum + it.count end
  return deploying.run(args, node, {
    verb = "Rolls back", name = found.name, version = found.to, verdict = "the way back from " .. found.from, processes = sum,
    install = relup.rollback { to = found.to, permanent = args.permanent, keep_env = args.keep_env },
    before = steps.before, after = steps.after,
  })
end

return rollback
