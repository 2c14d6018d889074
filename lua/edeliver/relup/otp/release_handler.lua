--- `release_handler`, as an outside client calls it: thin, named after what it calls.
--
-- Versions are charlists on the node and strings here, harmless in messages. Every function gives `nil, message, code` for
-- what the node refused.
--
-- @module edeliver.relup.otp.release_handler

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local release_handler = {}

local atom, charlist = term.atom, term.charlist
local OK = atom "ok"
local DONE, REFUSED = shape.is(OK), shape.tuple(shape.is(atom "error"), shape.any)
local NO_SUCH_RELEASE = shape.tuple(shape.is(atom "no_such_release"), shape.any)
local NO_MATCHING_RELUP = shape.tuple(shape.is(atom "no_matching_relup"), shape.any, shape.any)
local EXISTING_RELEASE = shape.tuple(shape.is(atom "existing_release"), shape.any)
local RELEASES = shape.list(shape.tuple(shape.text, shape.text, shape.list(shape.text), shape.atom))
local UNPACKED = shape.tuple(DONE, shape.text)
local CHECKED = shape.tuple(DONE, shape.text, shape.any)
local INSTALLED = shape.tuple(shape.either(DONE, shape.is(atom "continue_after_restart")), shape.text, shape.any)

-- release_handler's own words for what it refuses, in words for people.
local function explain(node, fun, reason)
  if NO_SUCH_RELEASE(reason) then
    return ("%s has no release %s"):format(node.name, term.format(reason[2])), "no_such_release"
  elseif NO_MATCHING_RELUP(reason) then
    return ("the relup on %s does not lead from %s to %s"):format(node.name, term.format(reason[3]), term.format(reason[2])),
      "no_matching_relup"
  elseif EXISTING_RELEASE(reason) then
    return ("%s has release %s already"):format(node.name, term.format(reason[2])), "existing_release"
  end
  return ("release_handler:%s on %s refused: %s"):format(fun, node.name, term.format(reason)), "refused"
end

-- `{noproc, {gen_server, call, [...]}}`, and `noproc` alone, as an exit has it.
local NOT_THERE = shape.either(shape.is(atom "noproc"), shape.tuple(shape.is(atom "noproc"), shape.any))

local function call(node, fun, answers, arguments, timeout)
  local answer, message, code, reason = node:call("release_handler", fun, arguments, timeout)
  if answer == nil then
    -- A release_handler that is busy with an install, or is not there at all.
    if code == "exit" and NOT_THERE(reason) then
      return nil, ("no release_handler runs on %s: the node was not started as a release with sasl"):format(node.name),
        "no_release_handler"
    end
    return nil, message, code
  end
  if REFUSED(answer) then return nil, explain(node, fun, answer[2]) end
  return shape.expect(node, "release_handler:" .. fun, answers, answer)
end

--- The releases that the node knows.
-- @return[1] a list of `{ name =, version =, status = "permanent" | "current" | "old" | "unpacked" | "tmp_current" }`
-- @return[1] their libraries, as far as they are known: `{ [version] = list of "NAME-VERSION" }`
-- @return[2] nil, message, code
function release_handler.which_releases(node, timeout)
  local answer, message, code = call(node, "which_releases", RELEASES, {}, timeout)
  if not answer then return nil, message, code end
  local releases, libraries = {}, {}
  for i, release in ipairs(answer) do
    local version, names = shape.to_text(release[2]), {}
    for j, library in ipairs(release[3]) do names[j] = shape.to_text(library) end
    releases[i] = { name = shape.to_text(release[1]), version = version, status = shape.to_text(release[4]) }
    libraries[version] = names
  end
  return releases, libraries
end

--- Unpacks `releases/NAME.tar.gz`.
-- @string name as release_handler wants it, without the ending
-- @return[1] the version
-- @return[2] nil, message, code
function release_handler.unpack_release(node, name, timeout)
  local answer, message, code = call(node, "unpack_release", UNPACKED, { charlist(name) }, timeout)
  if not answer then return nil, message, code end
  return shape.to_text(answer[2])
end

--- Evaluates what stands before the point of no return, and changes nothing.
-- @return[1] the version that the relup leads from
-- @return[2] nil, message, code
function release_handler.check_install_release(node, version, timeout)
  local answer, message, code = call(node, "check_install_release", CHECKED, { charlist(version) }, timeout)
  if not answer then return nil, message, code end
  return shape.to_text(answer[2])
end

--- Installs a release that is unpacked.
-- @return[1] the version that was left
-- @return[1] "ok", or "continue_after_restart" where the emulator restarts
-- @return[2] nil, message, code
function release_handler.install_release(node, version, timeout)
  local answer, message, code = call(node, "install_release", INSTALLED, { charlist(version) }, timeout)
  if not answer then return nil, message, code end
  return shape.to_text(answer[2]), answer[1].name
end

--- The release of a version, or nil.
-- @tparam table releases what `which_releases` gave
-- @string version
function release_handler.find(releases, version)
  for _, release in ipairs(releases) do
    if release.version == version then return release end
  end
  return nil
end

--- The releases in words: "1.4.5 (permanent), 1.4.6 (unpacked)".
function release_handler.describe(releases)
  local words = {}
  for i, release in ipairs(releases) do words[i] = ("%s (%s)"):format(release.version, release.status) end
  return table.concat(words, ", ")
end

--- The release that runs: the current one, or the permanent one where that was never left.
-- @tparam table releases what `which_releases` gave
-- @return one of them, or nil
function release_handler.running(releases)
  local permanent
  for _, release in ipairs(releases) do
    if release.status == "current" then return release end
    if release.status == "permanent" then permanent = release end
  end
  return permanent
end

local SCRIPT = shape.tuple(shape.text, shape.text)

-- Whether none of these libraries ("shop-1.0.0") is in the code path in another version.
local function are_in_use(node, libraries)
  local path, message, code = shape.expect(node, "code:get_path", shape.list(shape.text), node:call("code", "get_path"))
  if not path then return nil, message, code end
  local used = {}
  for i = 1, #path do
    local folder = shape.to_text(path[i]):match "([^/]+)/ebin/?$"
    local name = folder and folder:match "^([^-]+)%-"
    if name then used[name] = folder end
  end
  for _, library in ipairs(libraries) do
    local folder = used[library:match "^[^-]+"]
    if folder and folder ~= library then return false end
  end
  return true
end

-- The version that the node was started as, where release_handler has never heard of it, and what it takes for the release that
-- runs does not run: RELEASES is of an earlier one, whose folder was written over. False where all is well.
local function started_as_another(node, releases, now, libraries)
  local answer, message, code = shape.expect(node, "init:script_id", SCRIPT, node:call("init", "script_id"))
  if answer == nil then return nil, message, code end
  local name, version = shape.to_text(answer[1]), shape.to_text(answer[2])
  if now.status ~= "permanent" or name ~= now.name or release_handler.find(releases, version) then return false end
  -- What it was started as may have been removed since it was upgraded.
  local used
  used, message, code = are_in_use(node, libraries)
  if used == nil then return nil, message, code end
  return not used and version
end

--- Asks a node for the release that runs.
-- @return[1] it, the list of all, and their libraries, as `which_releases` gives them
-- @return[2] nil, message, code: "no_release" where the node knows of none, "stale_releases" where it was started as another one
-- than its release_handler thinks
function release_handler.current(node, timeout)
  local releases, libraries, code = release_handler.which_releases(node, timeout)
  if not releases then return nil, libraries, code end
  local now = release_handler.running(releases)
  if not now then return nil, node.name .. " knows no release that it runs", "no_release" end
  local other, message, why = started_as_another(node, releases, now, libraries[now.version])
  if other == nil then return nil, message, why end
  if not other then return now, releases, libraries end
  return nil, ("%s was started as %s, and its release_handler knows only %s: the file RELEASES is of a release whose folder was "
    .. "written over. `edeliver-relup %s releases --mend` makes it anew"):format(node.name, other,
    release_handler.describe(releases), node.name), "stale_releases"
end

--- Whether a node runs this version; false also where it cannot be asked.
function release_handler.runs(node, version)
  local releases = release_handler.which_releases(node)
  local now = releases and release_handler.running(releases)
  return now ~= nil and now.version == version
end

--- Removes a release that does not run, with the libraries that no other release uses.
-- @return[1] true
-- @return[2] nil, message, code
function release_handler.remove_release(node, version, timeout)
  local answer, message, code = call(node, "remove_release", DONE, { charlist(version) }, timeout)
  if not answer then return nil, message, code end
  return true
end

--- The release that the node starts with.
-- @tparam table releases what `which_releases` gave
-- @return one of them, or nil
function release_handler.permanent(releases)
  for _, release in ipairs(releases) do
    if release.status == "permanent" then return release end
  end
  return nil
end

--- Makes the current release the one that the node starts with.
-- @return[1] true
-- @return[2] nil, message, code
function release_handler.make_permanent(node, version, timeout)
  local answer, message, code = call(node, "make_permanent", DONE, { charlist(version) }, timeout)
  if not answer then return nil, message, code end
  return true
end

local RUNNING_OLD_CODE = shape.tuple(shape.list(shape.tuple(shape.atom, shape.list(shape.pid))), shape.list(shape.atom))

--- Who still runs old code: whom a brutal purge would kill, and before whom a soft one gives up.
-- @param node
-- @tparam[opt] table options `modules` (a list of atoms; default: all that are loaded), `purge` (whether old code that nobody
-- runs is purged first), `timeout` (ms, 30000)
-- @return[1] a list of `{ module =, pids = a pid set }`, with the number of modules that were `purged`
-- @return[2] nil, message, code
function release_handler.running_old_code(node, options)
  options = options or {}
  local answer, message, code = shape.expect(node, "who runs old code", RUNNING_OLD_CODE, node:run("running_old_code",
    { Modules = options.modules or atom "all", Purge = options.purge == true }, options.timeout or 30000))
  if not answer then return nil, message, code end
  local found = { purged = #answer[2] }
  for i, row in ipairs(answer[1]) do found[i] = { module = shape.to_text(row[1]), pids = node:pids(row[2]) } end
  return found
end

return release_handler
