--- `deploy`: a release is brought to a node, and is live.
--
-- @module edeliver.relup.cli.commands.deploy

local deployer = require "edeliver.relup.deploy"
local deploying = require "edeliver.relup.cli.deploying"
local document = require "edeliver.relup.plan.document"
local exit = require "edeliver.relup.cli.exit"
local own_steps = require "edeliver.relup.deploy.own_steps"
local output = require "edeliver.relup.cli.output"
local plan = require "edeliver.relup.plan"
local plan_page = require "edeliver.relup.cli.plan_page"
local progress = require "edeliver.relup.cli.progress"
local release = require "edeliver.relup.release"
local relup = require "edeliver.relup"
local session = require "edeliver.relup.cli.session"

local deploy = {
  on_node = true,
  summary = "Bring a release to a node and upgrade to it, with all websockets kept.",
  description = "The release is a folder as `mix release` leaves it, or its .tar.gz. It needs no appup and no relup, and\n"
    .. "nothing has to be prepared on the node. The plan is shown first. What needs a restart is refused, and nothing is\n"
    .. "changed.",
  examples = {
    "edeliver-relup myapp@web1 deploy _build/prod/rel/myapp",
    "edeliver-relup myapp@web1 deploy myapp-1.4.6.tar.gz --plan",
    "edeliver-relup myapp@web1 deploy _build/prod/rel/myapp --permanent --yes --json",
  },
}

function deploy.add_to_parser(parser)
  parser:argument("path", "The release: a folder, or a .tar.gz."):argname "<path>"
  deploying.add_options(parser)
  parser:flag("--plan", "Show the plan, and stop there.")
  parser:flag("--strict", "With --plan: exit with 1 where there are warnings, too.")
  parser:flag("--anyway", "Override reasons to restart instead; the run names each. Another VM or machine is not overridden.")
  parser:flag("--version-suffix", "Where the node runs this version with other content: name this one anew.")
  parser:option("--start-child", "Start this new child of an application, too; may be said more than once.")
    :argname "MODULE":count "*"
  parser:option("--steps", "Steps of your own (default: the release folder's relup.lua)."):argname "FILE"
  parser:option("--verify-key", "Ed25519 public key (PEM): <path>.sig must be its signature of the tarball."):argname "FILE"
  parser:flag("--all", "Show every name, however many there are.")
  parser:flag("--values", "Show old and new values of the configuration; what looks secret is masked.")
end

-- Shows a plan, as `plan` does.
local function show(args, planned)
  local out = args.output
  plan_page.show(out, planned.plan, { all = args.all, values = args.values })
  local compared = planned.compared
  out:line ""
  out:line(("To ship: %d files, %s."):format(compared.files, progress.bytes(compared.bytes)))
  out:give {
    name = planned.name, version = planned.version, plan = document.of(planned.plan, output.array),
    shipped = { files = compared.files, bytes = compared.bytes },
  }
end

-- The operator's own steps, where there are some.
local function own_steps_of(args)
  local file = args.steps or own_steps.find(args.path)
  if not file then return { before = {}, after = {} } end
  return own_steps.read(file, "up")
end

local function processes_of(planned)
  local sum = 0
  for _, it in ipairs(planned.plan.processes) do sum = sum + it.count end
  return sum
end

--- Runs the command.
-- @return exit code
function deploy.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local out, bar = args.output, nil
  local options = {
    permanent = args.permanent, anyway = args.anyway, keep_env = args.keep_env, values = args.values,
    version_suffix = args.version_suffix, start_children = #args.start_child > 0 and args.start_child or nil,
    progress = function(sent, all)
      bar = bar or progress.new(out, "ship", all)
      bar:update(sent)
    end,
  }
  local steps, message, code = own_steps_of(args)
  local planned
  local opened
  out:wait "comparing the release with what runs"
  if steps then opened, message, code = release.open_verified(args.path, args.verify_key) end
  if opened then planned, message, code = deployer.plan(node, opened, options) end
  if not planned then
    out:fail(message, code)
    return exit.of(code)
  end
  show(args, planned)
  local allowed
  allowed, message, code = planned:allowed(args.anyway)
  if not allowed then
    out:fail(message, code)
    return exit.REFUSED
  end
  if args.plan then return args.strict and plan.count(planned.plan, "warning") > 0 and exit.REFUSED or exit.OK end
  options.release = planned
  return deploying.run(args, node, {
    verb = "Deploys", name = planned.name, version = planned.version, verdict = planned.plan.verdict,
    processes = processes_of(planned), install = relup.install(options), before = steps.before,
    after = steps.after,
  })
end

return deploy
