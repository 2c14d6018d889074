--- Sees to it that release_handler knows the libraries of the release that runs, so that the node can come back to it.
--
-- A node that was started without the file releases/RELEASES, as by `mix release`, leaves its release well, and cannot install it
-- again. Knows no relup.
--
-- @module edeliver.relup.step.way_back

local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local way_back = {}

local atom = term.atom
local MADE = shape.either(shape.is(atom "ok"), shape.tuple(shape.is(atom "no"), shape.any))

local WHY = {
  unreadable = "the file is there and cannot be read",
  no_rel_file = "no .rel file there names libraries that are all below lib/",
}

-- Asks the node to make RELEASES, or whether it could. True; false and why not; nil, message, code.
local function make(node, version, really)
  local folder, message, code = release_folder.path(node)
  if not folder then return nil, message, code end
  local answer
  answer, message, code = shape.expect(node, "whether it made RELEASES", MADE, node:run("make_releases", {
    Folder = term.charlist(folder), Version = term.charlist(version), Make = really,
  }, 30000))
  if answer == nil then return nil, message, code end
  if answer == atom "ok" then return true end
  local reason = answer[2]
  return false, shape.atom(reason) and WHY[reason.name] or term.format(reason)
end

--- Keeps the way back open from where an install is about to lead.
-- @param node
-- @tparam table target what `step.target` found
-- @param ctx says what was done, or what a real run would do
-- @return[1] true, also where it cannot be done: that is a warning
-- @return[2] nil, message, code
function way_back.keep(node, target, ctx)
  if #target.libraries[target.from] > 0 then return true end
  local made, why, code
  if target.now.status == "permanent" and #target.releases == 1 then
    made, why, code = make(node, target.from, not ctx.dry_run)
  else
    made, why = false, "it has gone on to another release since"
  end
  if made == nil then return nil, why, code end
  if not made then
    ctx:log("warning", ("%s was started without releases/RELEASES, and it cannot be made: %s. There is no downgrade to %s; "
      .. "a restart goes back to the permanent release"):format(node.name, why, target.from))
    return true
  end
  ctx:log("info", ("%s was started without releases/RELEASES: %s, so that %s can be installed again"):format(node.name,
    ctx.dry_run and "an upgrade makes it" or "made it", target.from))
  if ctx.dry_run then return true end
  local releases, libraries
  releases, libraries, code = release_handler.which_releases(node)
  if not releases then return nil, libraries, code end
  target.releases, target.now, target.libraries = releases, release_handler.running(releases), libraries
  return true
end

return way_back
