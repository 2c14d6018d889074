--- `remove`: takes a release that does not run away from the node.
--
-- @module edeliver.relup.cli.commands.remove

local exit = require "edeliver.relup.cli.exit"
local release_handler = require "edeliver.relup.otp.release_handler"
local session = require "edeliver.relup.cli.session"

local remove = {
  on_node = true,
  summary = "Remove a release from the node, with the libraries that no other release uses.",
  description = "Not the one that runs, nor the permanent one. Tarballs stay.",
  examples = { "edeliver-relup myapp@web1 remove 1.4.4" },
}

function remove.add_to_parser(parser) parser:argument("version", "The version.") end

-- Whether the release may go.
local function look(node, version)
  local releases, libraries, code = release_handler.which_releases(node)
  if not releases then return nil, libraries, code end
  local release, now = release_handler.find(releases, version), release_handler.running(releases)
  if not release then
    return nil, ("%s has no release %s: it knows %s"):format(node.name, version, release_handler.describe(releases)),
      "no_such_release"
  end
  if release == now or release.status == "permanent" then
    return nil, ("%s is the release that %s %s: it stays"):format(version, node.name,
      release == now and "runs" or "starts with"), "in_use"
  end
  -- release_handler deletes all libraries that it does not know to be used.
  for _, other in ipairs(releases) do
    if other ~= release and #libraries[other.version] == 0 then
      return nil, ("release_handler does not know the libraries of %s on %s, and might delete them: nothing was removed"):format(
        other.version, node.name), "no_libraries"
    end
  end
  return true
end

--- Runs the command.
-- @return exit code
function remove.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local fine, message, code = look(node, args.version)
  if not fine then
    out:fail(message, code)
    return exit.REFUSED
  end
  if not session.confirm(args, ("Removes %s from %s."):format(args.version, node.name)) then return exit.REFUSED end
  local removed
  removed, message, code = release_handler.remove_release(node, args.version, 60000)
  if not removed then
    out:fail(message, code)
    return exit.FAILED
  end
  out:give { version = args.version }
  out:line(("%s has no release %s any more."):format(node.name, args.version))
  return exit.OK
end

return remove
