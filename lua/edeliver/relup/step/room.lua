--- Whether a node has room on its disk for a release, and may write where release_handler writes.
--
-- @module edeliver.relup.step.room

local release_folder = require "edeliver.relup.otp.release_folder"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local room = {}

local SPARE = 16 << 20 -- bytes, for what else the node writes meanwhile
local FREE = shape.either(shape.integer, shape.is(term.atom "unknown"))
local ROOM = shape.tuple(FREE, shape.list(shape.binary))

local function megabytes(bytes) return ("%.1f MB"):format(bytes / 1e6) end

-- Asks about files and folders below the root and the release folder.
local function ask(node, paths)
  local root, message, code = release_folder.root(node)
  local folder
  if root then folder, message, code = release_folder.path(node) end
  if not folder then return nil, message, code end
  local list = {}
  for i, path in ipairs(paths) do
    list[i] = term.charlist((path:gsub("^ROOT", function() return root end):gsub("^RELEASES", function() return folder end)))
  end
  return shape.expect(node, "what room there is", ROOM, node:run("room", {
    Root = term.charlist(root), Paths = term.list(list),
  }, 30000))
end

local function check(node, paths, bytes)
  local answer, message, code = ask(node, paths)
  if not answer then return nil, message, code end
  local free, forbidden = answer[1], answer[2]
  if #forbidden > 0 then
    local names = {}
    for i, path in ipairs(forbidden) do names[i] = shape.to_text(path) end
    return nil, ("%s may not write %s. Give its user the right to"):format(node.name, table.concat(names, ", ")), "no_rights"
  end
  if math.type(free) and bytes and free < bytes + SPARE then
    return nil, ("The disk of %s has %s free, and needs %s and %s to spare. Make room, as by `remove` of an old release"):format(
      node.name, megabytes(free), megabytes(bytes), megabytes(SPARE)), "no_room"
  end
  return true
end

--- Whether the target can be unpacked, where it is not yet.
-- @return[1] true
-- @return[2] nil, message, code: "no_room", "no_rights"
function room.to_unpack(node, target)
  if not target.tarball then return true end
  return check(node, { "ROOT", "ROOT/lib", "RELEASES", "RELEASES/RELEASES" }, target.tarball.bytes)
end

--- Whether a tarball of a size can be written into the release folder.
-- @return[1] true
-- @return[2] nil, message, code: "no_room", "no_rights"
function room.to_write(node, bytes) return check(node, { "RELEASES" }, bytes) end

--- Whether so many bytes of a release can be brought to where releases and their libraries are.
-- @return[1] true
-- @return[2] nil, message, code: "no_room", "no_rights"
function room.to_deploy(node, bytes) return check(node, { "ROOT/lib", "RELEASES", "RELEASES/RELEASES" }, bytes) end

--- Whether another release can be made permanent.
-- @return[1] true
-- @return[2] nil, message, code: "no_rights"
function room.to_make_permanent(node) return check(node, { "RELEASES", "RELEASES/RELEASES", "RELEASES/start_erl.data" }) end

return room
