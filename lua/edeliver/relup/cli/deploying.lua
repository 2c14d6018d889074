--- What `deploy` and `rollback` share: how a node's sockets are found, the question, and the run.
--
-- @module edeliver.relup.cli.deploying

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local hold = require "edeliver.relup.cluster.hold"
local option_names = require "edeliver.relup.cli.option_names"
local sequence_runner = require "edeliver.relup.cli.sequence_runner"
local session = require "edeliver.relup.cli.session"
local site_options = require "edeliver.relup.cli.site_options"
local standard = require "edeliver.relup.sequence.standard"

local deploying = {}

--- The options of both.
function deploying.add_options(to)
  sequence_runner.add_options(to, true)
  to:flag("--permanent", "Make it the release that the node starts with.")
  to:flag("--keep-env", "Keep the configuration that runs: nothing is resolved.")
end

--- Asks, and runs.
-- @param args
-- @param node
-- @tparam table about `verb`, `name`, `version`, `processes` (how many change), `verdict`, `install` (the step), `before` and
-- `after` (lists of steps around it)
-- @return exit code
function deploying.run(args, node, about)
  local names, message, code = session.applications(node, args, about.name)
  local config, none
  if names then
    config = site_options.config(args, names)
    config.version = about.version
    none, message, code = site_options.has_no_sockets(args, node, config)
  end
  if none == nil then
    args.output:fail(option_names.of(message), code)
    return exit.of(code)
  end
  local free
  free, message, code = hold.is_free(node)
  if not free then
    args.output:fail(message, code)
    return exit.of(code)
  end
  local question = ("%s %s on %s to %s (%s), with %s, and %s whose code changes."):format(about.verb, about.name, node.name,
    about.version, about.verdict, none and "no websockets" or site_options.count_sockets(node, config),
    count.of(about.processes, "process"))
  if not session.confirm(args, question) then return exit.REFUSED end
  local steps = standard.around(about.install, none, about.before, about.after)
  return sequence_runner.run(args, node, steps, config)
end

return deploying
