--- Brings a release to a node: only what the node lacks, into folders of its own, whole or not at all.
--
-- @module edeliver.relup.deploy.ship

local charlist = require("edeliver.relup.term").charlist
local core = require "edeliver.relup.core"
local count = require "edeliver.relup.base.count"
local lacking = require "edeliver.relup.deploy.lacking"
local room = require "edeliver.relup.step.room"
local sending = require "edeliver.relup.deploy.sending"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local ship = {}

local LEFT = shape.list(shape.tuple(shape.binary, shape.any))

--- Finds out what a node lacks of a release, and whether there is room for it. Touches nothing.
-- @param node
-- @tparam table release as `edeliver.relup.release` has it, or a view of it by `edeliver.relup.release.renamed`
-- @return[1] `files` and `bytes` that are to be sent, `copied` (bytes that the node has elsewhere), `have` (files), `has_version`
-- (whether the version's folder lies there already, the same), `rename`: a set of applications that lie there under the same
-- version with other content. While that is not empty `send` refuses; `renamed.of(release, { applications = compared.rename })`
-- helps
-- @return[2] nil, message, code: "no_room", "no_rights", "stale", "same_version"
function ship.compare(node, release)
  local compared, message, code = lacking.compare(node, release)
  if not compared then return nil, message, code end
  local fits
  fits, message, code = room.to_deploy(node, compared.bytes + compared.copied)
  if not fits then return nil, message, code end
  return compared
end

local function refuse_names(node, compared)
  local names = {}
  for name in pairs(compared.rename) do names[#names + 1] = name end
  if #names == 0 then return true end
  table.sort(names)
  return nil, ("%s has %s under the same version with other content. Nothing was sent: --version-suffix gives this release "
    .. "another version"):format(node.name, table.concat(names, ", ")), "same_version"
end

--- Sends it.
-- @param node
-- @tparam table compared what `compare` found
-- @tparam[opt] table options `progress` (gets the bytes sent and all of them), `ctx` (says what was done)
-- @return[1] what `take_back` takes: `files`, `bytes`, `ms`, `folders` (those that were made)
-- @return[2] nil, message with what is left on the node, code: "busy" where somebody else sends to it
function ship.send(node, compared, options)
  options = options or {}
  local fine, message, code = refuse_names(node, compared)
  if not fine then return nil, message, code end
  local shipped = { files = compared.files, bytes = compared.bytes, ms = 0, folders = {}, where = compared.where }
  if #compared.folders == 0 then return shipped end
  local started = core.now()
  local now <close>, problem, why = sending.begin(node, compared, options.progress)
  if not now then return nil, problem, why end
  local sent
  sent, message, code = now:run()
  local closed, left = now:close()
  if not sent then
    if not closed then message = ("%s; %s"):format(message, left) end
    return nil, message, code
  end
  for i, folder in ipairs(compared.folders) do shipped.folders[i] = folder.name end
  shipped.ms = core.now() - started
  if options.ctx then
    options.ctx:log("info", ("sent %s (%s) in %.1f s; %s had the other %d"):format(count.of(shipped.files, "file"),
      count.of(shipped.bytes, "byte"), shipped.ms / 1000, node.name, compared.have))
  end
  return shipped
end

--- Takes what was sent away again, but nothing that is used by now.
-- @param node
-- @tparam table shipped what `send` gave
-- @return[1] true
-- @return[2] nil, message that says what is left, code
function ship.take_back(node, shipped)
  local folders = {}
  for i = #shipped.folders, 1, -1 do folders[#folders + 1] = shipped.folders[i] end
  if #folders == 0 then return true end
  local left, message, code = shape.expect(node, "what was deleted", LEFT, node:run("delete_folders", {
    Folders = term.list(folders), Lib = charlist(shipped.where.lib), Releases = charlist(shipped.where.releases),
  }, 60000))
  if not left then
    return nil, ("%s may be left on %s: %s"):format(table.concat(folders, ", "), node.name, message), code
  end
  if #left == 0 then return true end
  local names = {}
  for i, one in ipairs(left) do names[i] = ("%s (%s)"):format(shape.to_text(one[1]), term.format(one[2])) end
  return nil, ("left on %s: %s"):format(node.name, table.concat(names, ", ")), "left"
end

return ship
