--- `releases`: which releases a node has, and which tarballs lie there.
--
-- @module edeliver.relup.cli.commands.releases

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local session = require "edeliver.relup.cli.session"

local releases = {
  on_node = true,
  summary = "List the releases that the node has, and the tarballs that lie there.",
  examples = { "edeliver-relup myapp@web1 releases" },
}

--- Runs the command.
-- @return exit code
function releases.command(args)
  local out = args.output
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local known, message, code = release_handler.which_releases(node)
  local tarballs
  if known then tarballs, message, code = release_folder.tarballs(node) end
  if not tarballs then
    out:fail(message, code)
    return exit.FAILED
  end
  out:give { releases = output.array(known), tarballs = output.array(tarballs) }
  local rows = {}
  for i, release in ipairs(known) do rows[i] = { release.version, release.status, release.name } end
  out:table({ "VERSION", "STATUS", "RELEASE" }, rows)
  for _, name in ipairs(tarballs) do out:line("tarball  " .. name) end
  return exit.OK
end

return releases
