--- The way back of a deploy: whether there will be one, and where it leads.
--
-- The relup of the version that runs says it, and the files of the other must still be there. Asks, and changes nothing.
--
-- @module edeliver.relup.deploy.way_back

local count = require "edeliver.relup.base.count"
local effects = require "edeliver.relup.script.effects"
local modules = require "edeliver.relup.deploy.modules"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup_on = require "edeliver.relup.otp.relup"
local term = require "edeliver.relup.term"

local way_back = {}

-- Whether everything that a version needs lies on the disk. True; false and why not; nil, message, code.
local function is_there(node, version)
  local found, message, code = modules.of(node, version, true)
  if not found and code == "no_release" then return false, message end
  if not found then return nil, message, code end
  local missing = {}
  for _, module in ipairs(found) do
    if not module.file then missing[#missing + 1] = module.name end
  end
  if #missing == 0 then return true end
  return false, ("%s no longer has the code of %s of %s, %s among them"):format(node.name, count.of(#missing, "module"),
    version, missing[1])
end

--- Whether a version could be left again.
-- @param node
-- @string from the version that runs, and would be returned to
-- @string version the version that will run
-- @return[1] `{ possible =, why = why not }`
-- @return[2] nil, message, code
function way_back.look(node, from, version)
  local releases, libraries, code = release_handler.which_releases(node)
  if not releases then return nil, libraries, code end
  if #(libraries[from] or {}) == 0 then
    return { possible = false, why = ("release_handler on %s does not know the libraries of %s"):format(node.name, from) }
  end
  local there, why
  there, why, code = is_there(node, from)
  if there == nil then return nil, why, code end
  if not there then return { possible = false, why = why } end
  local relup, message = relup_on.read(node, version, from)
  if not relup then return { possible = false, why = message } end
  return { possible = true }
end

-- What a script removes, and whose processes it changes.
local function touched_by(script)
  local changed, removed = {}, {}
  for _, instruction in ipairs(script) do
    local name = effects.name(instruction)
    if name == "load" then
      changed[#changed + 1] = term.text(instruction[2][1])
    elseif name == "remove" then
      removed[#removed + 1] = term.text(instruction[2][1])
    end
  end
  return changed, removed
end

-- Where the relup of what runs leads down to, of what the node still has.
local function candidates(node, releases, now)
  local found, last = {}, nil
  for _, release in ipairs(releases) do
    local relup, message, code
    if release.version ~= now.version then relup, message, code = relup_on.read(node, now.version, release.version) end
    if relup and not relup.up then
      found[#found + 1] = { to = release.version, relup = relup }
    elseif message then
      if code ~= "no_matching_relup" then return nil, message, code end
      last = message
    end
  end
  return found, last
end

--- Where a rollback leads.
-- @param node
-- @tparam ?string wanted a version; by default the one that the relup of what runs leads down to
-- @return[1] `{ from =, to =, name =, changed = names of modules, removed = }`
-- @return[2] nil, message, code: "no_way_back"
function way_back.find(node, wanted)
  local now, releases, libraries = release_handler.current(node)
  if not now then return nil, releases, libraries end
  local found, why, code = candidates(node, releases, now)
  if not found then return nil, why, code end
  local fitting, versions = {}, {}
  for _, one in ipairs(found) do
    versions[#versions + 1] = one.to
    if not wanted or one.to == wanted then fitting[#fitting + 1] = one end
  end
  if #fitting > 1 then
    return nil, ("From %s the way back on %s leads to %s: say which"):format(now.version, node.name,
      table.concat(versions, " or to ")), "ambiguous"
  end
  if #fitting == 0 then
    return nil, ("No way leads back from %s%s on %s, which knows %s%s"):format(now.version, wanted and " to " .. wanted or "",
      node.name, release_handler.describe(releases), why and ": " .. why or ""), "no_way_back"
  end
  local one = fitting[1]
  local changed, removed = touched_by(one.relup.script)
  local there, problem
  there, problem, code = is_there(node, one.to)
  if not there then return nil, problem, code or "no_way_back" end
  return { from = now.version, to = one.to, name = now.name, changed = changed, removed = removed }
end

return way_back
