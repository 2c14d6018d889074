--- `releases`: which releases a node has, and which tarballs lie there.
--
-- @module edeliver.relup.cli.commands.releases

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local register = require "edeliver.relup.deploy.register"
local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local session = require "edeliver.relup.cli.session"

local releases = {
  on_node = true,
  summary = "List the releases that the node has, and the tarballs that lie there.",
  examples = { "edeliver-relup myapp@web1 releases" },
}

function releases.add_to_parser(parser)
  parser:flag("--mend", "Make RELEASES anew, where the release was written over since it was made.")
end

local function mend(args, node)
  local out = args.output
  if not session.confirm(args, ("Makes RELEASES anew on %s."):format(node.name)) then return exit.REFUSED end
  local version, message, code = register.mend(node)
  if not version then
    out:fail(message, code)
    return code == "refused" and exit.REFUSED or exit.FAILED
  end
  out:line(("release_handler knows that %s runs %s. The old file is RELEASES.before."):format(node.name, version))
  return nil
end

--- Runs the command.
-- @return exit code
function releases.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local problem = args.mend and mend(args, node)
  if problem then return problem end
  local known, message, code = release_handler.which_releases(node)
  local tarballs
  if known then tarballs, message, code = release_folder.tarballs(node) end
  local unknown, cut
  if tarballs then
    unknown, cut, code = register.unknown(node, known)
    message = cut
  end
  if not unknown then
    out:fail(message, code)
    return exit.FAILED
  end
  out:give {
    releases = output.array(known), tarballs = output.array(tarballs), unknown = output.array(unknown), cut_off = cut,
  }
  local rows = {}
  for i, release in ipairs(known) do rows[i] = { release.version, release.status, release.name } end
  for _, version in ipairs(unknown) do rows[#rows + 1] = { version, "not known to release_handler", "" } end
  out:table({ "VERSION", "STATUS", "RELEASE" }, rows)
  for _, name in ipairs(tarballs) do out:line("tarball  " .. name) end
  if cut > 0 then out:line "An upload was cut off: the next deploy continues with it, or deletes it." end
  return exit.OK
end

return releases
