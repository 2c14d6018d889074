--- The relup of an install, read where release_handler reads it: on the node.
--
-- @module edeliver.relup.otp.relup

local consult = require "edeliver.relup.consult"
local effects = require "edeliver.relup.script.effects"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup_of = require "edeliver.relup.script.relup"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local relup = {}

local MAX_RELUP = 16 << 20 -- bytes. Those of large applications have a tenth of it; reading it takes two seconds

local READ = shape.list(shape.tuple(shape.any, shape.any), 2)
local FILE = shape.tuple(shape.binary, shape.binary)

-- The versions that a relup's ways of one direction name, in words.
local function ways(entries, direction)
  local versions = {}
  for _, entry in ipairs(entries) do
    if entry.direction == direction then versions[#versions + 1] = entry.version end
  end
  return #versions > 0 and table.concat(versions, ", ") or "nowhere"
end

local ENOENT = term.atom "enoent"

-- What release_handler finds in one file: the entry and the relup; or false and why it has none; or nil, message, code where
-- release_handler looks no further.
local function look_into(node, file, side)
  local path, text = shape.to_text(file[1]), file[2]
  local size = type(text) == "string" and #text or text
  if math.type(size) == "integer" and size > MAX_RELUP then
    return nil, ("the relup of %s on %s has %d bytes; one of more than 16 MiB is not read"):format(side.of, node.name, size),
      "limit"
  end
  local name = ("releases/%s/relup"):format(side.of)
  if not FILE(file) then
    if text == ENOENT then return false, name .. " is not there" end
    return nil, ("%s on %s cannot be read: %s"):format(name, node.name, term.format(text)), "bad_relup"
  end
  local terms, message = consult.parse(text)
  local value = terms and terms[1]
  if terms then
    if #terms ~= 1 then terms, message = nil, relup_of.SHAPE else terms, message = relup_of.entries(value) end
  end
  if terms and relup_of.version(value[1]) ~= side.of then
    terms, message = nil, ("it is the relup of version %s"):format(term.format(value[1]))
  end
  if not terms then return nil, ("%s on %s is not right: %s"):format(path, node.name, message), "bad_relup" end
  local entry = relup_of.find(terms, side.direction, side.version)
  if entry then return entry, value end
  return false, ("%s leads %s %s"):format(name, side.direction == "up" and "up from" or "down to", ways(terms, side.direction))
end

--- The relup that an install takes, as it lies on the node.
-- @param node
-- @string from the version that runs
-- @string to the version that will
-- @param[opt] given what the new version's tarball has, where it is not unpacked: the text of its relup, its size where that is
-- too large, or false where it has none
-- @return[1] `{ path =, text =, relup = the term, script = the instructions of the entry, up = whether it leads up, restart = the
-- instruction of the entry that restarts the emulator, or nil }`
-- @return[2] nil, message, code: "no_matching_relup", "bad_relup", "limit", or what a call gives
function relup.read(node, from, to, given)
  local found, message, code = shape.expect(node, "what its relups are", READ,
    node:run("read_relups", { Versions = term.list { term.charlist(to), term.charlist(from) }, Most = MAX_RELUP }))
  if not found then return nil, message, code end
  local files, why = { found[1], found[2] }, {}
  if given ~= nil then files[1] = term.tuple { ("releases/%s/relup"):format(to), given or ENOENT } end
  -- As release_handler takes them: the new version's, where that has an entry for the old one, and else the old version's.
  for i, side in ipairs { { of = to, direction = "up", version = from }, { of = from, direction = "down", version = to } } do
    local entry, value, problem = look_into(node, files[i], side)
    if entry == nil then return nil, value, problem end
    if entry then
      return {
        path = shape.to_text(files[i][1]), text = files[i][2], relup = value, script = entry.instructions, up = i == 1,
        restart = entry.restart,
      }
    end
    why[i] = value
  end
  return nil, ("no relup on %s leads from %s to %s: %s. `plan OLD NEW --relup FILE` makes one; put it into the newer release as "
    .. "releases/VERSION/relup"):format(node.name, from, to, table.concat(why, ", and ")), "no_matching_relup"
end

--- The modules that the install of a version loads, up or down from the release that runs.
-- @param node
-- @string version
-- @return[1] a list of atoms
-- @return[2] nil, message, code; "no_matching_relup" where the node has no relup that leads there
function relup.loaded_modules(node, version)
  local now, message, code = release_handler.current(node)
  if not now then return nil, message, code end
  local found
  found, message, code = relup.read(node, now.version, version)
  if not found then return nil, message, code end
  return term.list(effects.loaded(found.script))
end

return relup
