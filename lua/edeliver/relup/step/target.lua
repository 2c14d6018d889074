--- The release that an install is to lead to: where it lies on the node, unpacked or in a tarball, and what is in it.
--
-- What is there twice, unpacked and in a tarball beside, is compared by its content: OTP would install what is unpacked, however
-- old. Writes nothing but in `unpack`. Knows neither relups nor configuration.
--
-- @classmod edeliver.relup.step.target

local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local tarball = require "edeliver.relup.otp.tarball"
local term = require "edeliver.relup.term"

local target = {}
target.__index = target

local UNPACK_TIMEOUT = 120000 -- ms

-- "lib/chat-2.0.0/ebin/chat.beam and 3 more"
local function first_of(names)
  if #names == 1 then return names[1] end
  return ("%s and %s%d more"):format(names[1], #names > 1000 and "at least " or "", #names - 1)
end

-- The tarball that holds the version; where none does, why the first did not.
local function open_tarball(node, name, version)
  local places, message, code = tarball.find(node, name, version)
  if not places then return nil, message, code end
  local why, why_code
  for _, place in ipairs(places) do
    local read
    read, message, code = tarball.read(node, place, version)
    if read and read.rel.version ~= version then
      read, message, code = nil, ("releases/%s on %s holds version %s, not %s"):format(read.file, node.name, read.rel.version,
        version), "refused"
    end
    if read then return read end
    if code == "timeout" or code == "nodedown" then return nil, message, code end
    why, why_code = why or message, why_code or code
  end
  return false, why, why_code
end

local function no_such_release(node, name, version, releases)
  local places = {}
  for i, place in ipairs(tarball.places(name, version)) do places[i] = ("releases/%s.tar.gz"):format(place) end
  return nil, ("%s has no release %s: it knows %s, and there is no tarball %s or %s. Bring the tarball to the node "
    .. "with `upload`, and run this again"):format(node.name, version, release_handler.describe(releases), places[1], places[2]),
    "no_such_release"
end

-- A version that is unpacked and a tarball of it that was brought later.
local function compare(node, version, read, ctx)
  local differing, missing = #read.differing, #read.missing
  if differing + missing == 0 then
    ctx:log("info", ("releases/%s holds what is unpacked already"):format(read.file))
    return true
  end
  local what = {}
  if differing > 0 then what[#what + 1] = ("differs in %s"):format(first_of(read.differing)) end
  if missing > 0 then what[#what + 1] = ("lacks %s"):format(first_of(read.missing)) end
  return nil, ("What is unpacked of %s on %s is not what releases/%s holds: it %s. To install the tarball, run `remove %s` "
    .. "first; to install what is unpacked, delete the tarball"):format(
    version, node.name, read.file, table.concat(what, ", and "), version), "stale"
end

-- Files that are there already, where OTP overwrites none: left of an earlier try, or shared with the release that runs.
local function look_for_leftovers(node, now, libraries, read, ctx)
  local used, left, shared = {}, {}, {}
  for _, library in ipairs(libraries) do used["lib/" .. library] = true end
  for _, name in ipairs(read.differing) do
    local folder = name:match "^lib/[^/]+"
    table.insert((not folder or used[folder] or #libraries == 0) and shared or left, name)
  end
  if #left > 0 then
    return nil, ("Files of an earlier try are in the way on %s, with other contents than in releases/%s: %s. OTP would keep "
      .. "them. Delete their folders, and run this again"):format(node.name, read.file, first_of(left)), "stale"
  end
  if #shared > 0 then
    ctx:log("warning", ("%s: %s, which %s uses, %s on the node from what releases/%s holds. OTP keeps what is there"):format(
      node.name, first_of(shared), now.version, #shared == 1 and "differs" or "differ", read.file))
  end
  return true
end

--- Finds a version on the node.
-- @param node
-- @string version
-- @param ctx
-- @return[1] `{ version =, from = the version that runs, now = and releases = as release_handler has them, libraries = those of
-- each version, known = the release where it is unpacked, tarball = what `otp.tarball` read of it, or nil }`
-- @return[2] nil, message, code
function target.find(node, version, ctx)
  local now, releases, libraries = release_handler.current(node)
  if not now then return nil, releases, libraries end
  if now.version == version then
    return nil, ("%s runs %s already"):format(node.name, version), "already_installed"
  end
  local self = setmetatable({
    version = version, from = now.version, now = now, releases = releases, libraries = libraries,
    known = release_handler.find(releases, version),
  }, target)
  local read, message, code = open_tarball(node, now.name, version)
  if read == nil then return nil, message, code end
  if not read and not self.known then
    if message then return nil, message, code end
    return no_such_release(node, now.name, version, releases)
  end
  local fine = true
  if not self.known then
    self.tarball = read
    fine, message, code = look_for_leftovers(node, now, libraries[now.version], read, ctx)
  elseif read then
    fine, message, code = compare(node, version, read, ctx)
  elseif message then
    ctx:log("warning", message)
  end
  if not fine then return nil, message, code end
  return self
end

--- A file of the release's own folder.
-- @string name as "sys.config"
-- @return[1] its text; false where there is none
-- @return[2] nil, message, code
function target:file(node, name)
  if self.tarball then
    local text = tarball.file(self.tarball, name)
    if math.type(text) then
      return nil, ("releases/%s/%s in the tarball has %d bytes; more than 16 MiB are not read"):format(self.version, name, text),
        "limit"
    end
    return text or false
  end
  return release_folder.read(node, ("%s/%s"):format(self.version, name))
end

-- Puts the tarball where release_handler finds its .rel file.
local function move(node, read, ctx)
  if read.place == read.unpack_as then return true end
  local folder, message, code = release_folder.path(node)
  if not folder then return nil, message, code end
  local from, to = ("%s/%s"):format(folder, read.file), ("%s/%s.tar.gz"):format(folder, read.unpack_as)
  local done
  done, message, code = node:call("filelib", "ensure_dir", { term.charlist(to) })
  if done == nil then return nil, message, code end
  done, message, code = release_folder.file(node, "rename", from, term.charlist(to))
  if not done then return nil, message, code end
  ctx:log("info", ("releases/%s is releases/%s.tar.gz now, where release_handler looks for a tarball like that"):format(read.file,
    read.unpack_as))
  return true
end

--- Unpacks the tarball, where the release is not unpacked yet.
-- @return[1] true
-- @return[2] nil, message, code
function target:unpack(node, ctx)
  local read = self.tarball
  if not read then return true end
  local moved, message, code = move(node, read, ctx)
  if not moved then return nil, message, code end
  local unpacked
  unpacked, message, code = release_handler.unpack_release(node, read.unpack_as, UNPACK_TIMEOUT)
  if not unpacked then return nil, ("releases/%s.tar.gz could not be unpacked: %s"):format(read.unpack_as, message), code end
  self.tarball = nil
  ctx:log("info", ("unpacked releases/%s.tar.gz"):format(read.unpack_as))
  return true
end

return target
