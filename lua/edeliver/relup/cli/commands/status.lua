--- `status`: what a node is and how it does, at a glance. Changes nothing.
--
-- @module edeliver.relup.cli.commands.status

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local session = require "edeliver.relup.cli.session"
local term = require "edeliver.relup.term"

local status = {
  on_node = true,
  summary = "Show versions, sockets, suspended processes and the guard.",
  examples = { "edeliver-relup myapp@web1 status", "edeliver-relup myapp@web1 status --json | jq .result.suspended" },
}

function status.add_to_parser(parser)
  parser:option("--app", "The application whose sockets are counted (default: the release's name)."):argname "NAME"
end

-- Asks one question; the first that fails ends the gathering, by an error that `gather` catches.
local function ask(node, module, fun, ...)
  local answer, message, code = node:call(module, fun, { ... })
  if answer == nil then error({ message = message, code = code }, 0) end
  return answer
end

local function gather(node)
  local facts = {
    otp_release = term.text(ask(node, "erlang", "system_info", term.atom "otp_release")),
    processes = ask(node, "erlang", "system_info", term.atom "process_count"),
  }
  local release, releases = session.release(node)
  facts.release, facts.releases = release, output.array(release and releases or {})
  if not release then facts.no_release = releases end
  local sitting, sleeping, code = node:suspended()
  if not sitting then error({ message = sleeping, code = code }, 0) end
  facts.suspended, facts.hibernating = #sitting, #sleeping
  local guard = ask(node, "erlang", "whereis", term.atom "edeliver_relup")
  facts.guard = term.kind(guard) == "pid" and tostring(guard) or nil
  return facts
end

local function show(out, node, facts)
  local releases = {}
  for i, release in ipairs(facts.releases) do releases[i] = ("%s (%s)"):format(release.version, release.status) end
  out:facts {
    { "node", node.name },
    { "OTP", facts.otp_release },
    { "release", facts.release and ("%s %s"):format(facts.release.name, facts.release.version) or "none: " .. facts.no_release },
    { "releases", releases[1] and table.concat(releases, ", ") },
    { "processes", facts.processes },
    { "suspended", facts.suspended },
    { "hibernating", facts.hibernating },
    { "guard", facts.guard or "none" },
  }
end

--- Runs the command.
-- @return exit code
function status.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local answered, facts = pcall(gather, node)
  if not answered then
    if type(facts) ~= "table" then error(facts, 0) end
    args.output:fail(facts.message, facts.code)
    return exit.FAILED
  end
  args.output:give(facts)
  show(args.output, node, facts)
  return exit.OK
end

return status
