--- `remove`: takes a release that does not run away from the node.
--
-- @module edeliver.relup.cli.commands.remove

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local register = require "edeliver.relup.deploy.register"
local session = require "edeliver.relup.cli.session"

local remove = {
  on_node = true,
  summary = "Remove a release from the node, with the libraries that nothing else uses.",
  description = "Not the one that runs, nor the permanent one. It may also be one that a failed deploy has left on the disk.\n"
    .. "Tarballs stay.",
  examples = { "edeliver-relup myapp@web1 remove 1.4.4" },
}

function remove.add_to_parser(parser) parser:argument("version", "The version.") end

--- Runs the command.
-- @return exit code
function remove.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local version = args.version
  local folders, message, code = register.remove(node, version, { dry = true })
  if not folders then
    out:fail(message, code)
    return exit.of(code)
  end
  local what = #folders > 0 and table.concat(folders, ", ") or "nothing on the disk"
  if not session.confirm(args, ("Removes %s from %s: %s."):format(version, node.name, what)) then return exit.REFUSED end
  folders, message, code = register.remove(node, version)
  if not folders then
    out:fail(message, code)
    return exit.FAILED
  end
  out:give { version = version, deleted = output.array(folders) }
  for _, folder in ipairs(folders) do out:line("deleted " .. folder) end
  out:line(("%s has no release %s any more."):format(node.name, version))
  return exit.OK
end

return remove
