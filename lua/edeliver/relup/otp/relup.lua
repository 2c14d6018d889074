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

-- The entry of one relup's text, and the relup; nil where there is none.
local function entry_in(text, direction, version)
  local terms = consult.parse(text)
  local entries = terms and #terms == 1 and relup_of.entries(terms[1])
  local entry = entries and relup_of.find(entries, direction, version)
  if entry then return entry, terms[1] end
end

--- The relup that an install takes, as it lies on the node.
-- @param node
-- @string from the version that runs
-- @string to the version that will
-- @return[1] `{ path =, text =, relup = the term, script = the instructions of the entry, up = whether it leads up, restart = the
-- instruction of the entry that restarts the emulator, or nil }`
-- @return[2] nil, message, code: "no_matching_relup", "limit", or what a call gives
function relup.read(node, from, to)
  local found, message, code = shape.expect(node, "what its relups are", READ,
    node:run("read_relups", { Versions = term.list { term.charlist(to), term.charlist(from) }, Most = MAX_RELUP }))
  if not found then return nil, message, code end
  -- As release_handler takes them: the new version's, where that has an entry for the old one, and else the old version's.
  for i, side in ipairs { { of = to, direction = "up", version = from }, { of = from, direction = "down", version = to } } do
    local path, text = shape.to_text(found[i][1]), found[i][2]
    local size = type(text) == "string" and #text or text
    if math.type(size) == "integer" and size > MAX_RELUP then
      return nil, ("the relup of %s on %s has %d bytes; one of more than 16 MiB is not read"):format(side.of, node.name, size),
        "limit"
    end
    local entry, value
    if FILE(found[i]) then entry, value = entry_in(text, side.direction, side.version) end
    if entry then
      return {
        path = path, text = text, relup = value, script = entry.instructions, up = i == 1, restart = entry.restart,
      }
    end
  end
  return nil, ("no relup on %s leads from %s to %s"):format(node.name, from, to), "no_matching_relup"
end

--- The modules that the install of a version loads, up or down from the release that runs.
-- @param node
-- @string version
-- @return[1] a list of atoms
-- @return[2] nil, message, code; "no_matching_relup" where the node has no relup that leads there
function relup.loaded_modules(node, version)
  local releases, message, code = release_handler.which_releases(node)
  if not releases then return nil, message, code end
  local now = release_handler.running(releases)
  if not now then return nil, node.name .. " knows no release that it runs", "refused" end
  local found
  found, message, code = relup.read(node, now.version, version)
  if not found then return nil, message, code end
  local modules = {}
  for _, instruction in ipairs(found.script) do
    local _, _, loaded = effects.object_code(instruction)
    for _, module in ipairs(loaded or {}) do modules[#modules + 1] = module end
  end
  return term.list(modules)
end

return relup
