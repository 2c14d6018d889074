--- Makes a release that lies on a node's disk known to its release_handler, and takes one away again.
--
-- A plain `mix release` has no RELEASES: it is made, and release_handler is started again by its supervisor, never killed. The
-- release is made known by `set_unpacked`, since `unpack_release` would delete the .rel file of a mix release. Libraries that
-- anything else uses are never deleted. Knows nothing of how the files came there.
--
-- @module edeliver.relup.deploy.register

local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"
local way_back = require "edeliver.relup.step.way_back"

local register = {}

local atom, charlist = term.atom, term.charlist

local TIMEOUT = 60000 -- ms
local OK, ERROR = shape.is(atom "ok"), shape.tuple(shape.is(atom "error"), shape.any)
local REGISTERED = shape.either(ERROR, shape.tuple(OK, shape.atom, shape.atom))
local FORGOTTEN = shape.either(OK, ERROR)
local REMOVED = shape.either(ERROR, shape.tuple(OK, shape.list(shape.binary)))

local function is_reason(name) return shape.tuple(shape.is(atom(name)), shape.any) end
local MISSING = shape.list(shape.tuple(shape.is(atom "missing"), shape.text))
local CURRENT, PERMANENT, TRIED = is_reason "current", is_reason "permanent", is_reason "tmp_current"
local RUNS, NO_SUCH_RELEASE = is_reason "runs", is_reason "no_such_release"

local function ask(node, name, has, bindings)
  return shape.expect(node, name .. ".erl", has, node:run(name, bindings, TIMEOUT))
end

-- What release_handler knows, with RELEASES made where it is missing.
local function known(node, ctx)
  local now, releases, libraries = release_handler.current(node)
  if not now then return nil, releases, libraries end
  local found = { releases = releases, libraries = libraries, now = now, from = now.version }
  local unknown = #libraries[now.version] == 0
  local kept, message, code = way_back.keep(node, found, ctx)
  if not kept then return nil, message, code end
  return found, unknown and #found.libraries[now.version] > 0
end

-- Why the release could not be registered, in words.
local function explain(node, version, reason)
  if CURRENT(reason) or PERMANENT(reason) or TRIED(reason) then
    return ("%s runs or starts with %s already"):format(node.name, version), "already_installed"
  elseif MISSING(reason) and #reason > 0 then
    return ("%s of %s %s not on %s"):format(shape.to_text(reason[1][2]), version,
      #reason == 1 and "is" or ("and %d more folders are"):format(#reason - 1), node.name), "missing"
  end
  return ("%s could not be registered on %s: %s"):format(version, node.name, term.format(reason)), "refused"
end

--- Makes a release known that lies below the node's root with all its files, and writes its relup. One that is known already gets
-- only the relup, and its libraries where they are others by now. What fails changes nothing, but for RELEASES that was missing,
-- and the .rel file, which unpack_release may have deleted.
-- @param node
-- @tparam table release as `edeliver.relup.release` has it
-- @tparam table options `relup` (its text; without one the release keeps its own), `ctx` (says what was done)
-- @return[1] what `take_back` takes: `version`, `how` ("added", "replaced" or "known"), `made_releases`
-- @return[2] nil, message, code
function register.add(node, release, options)
  local rel
  local read, message, code = release.source:read({ [release.rel_path] = true }, function(_, bytes)
    rel = bytes
    return true
  end)
  if not read then return nil, message, code end
  local folder, found, made, answer
  folder, message, code = release_folder.path(node)
  if folder then found, made, code = known(node, options.ctx) end
  if not found then return nil, made or message, code end
  local version = release.version
  answer, message, code = ask(node, "register_release", REGISTERED, {
    Folder = charlist(folder), Rel = charlist(release.rel_path:match "[^/]+$"), RelText = rel,
    Relup = options.relup or atom "none", Version = charlist(version),
  })
  local self = { version = version, folder = folder, made_releases = made, how = "unknown", before = "unchanged" }
  if answer and not ERROR(answer) then
    self.how, self.before = answer[2].name, options.relup and answer[3].name or "unchanged"
    options.ctx:log("info", ("%s is known to release_handler on %s"):format(version, node.name))
    return self
  end
  if answer then message, code = explain(node, version, answer[2]) end
  local back, problem = register.take_back(node, self)
  return nil, back and message or ("%s; %s"):format(message, problem), code
end

--- Undoes an `add`: release_handler forgets the release where it has heard of it there, the relup is the one before, and RELEASES
-- goes where it was made for it.
-- @param node
-- @tparam table registered what `add` gave
-- @return[1] true
-- @return[2] nil, message, code
function register.take_back(node, registered)
  local version = registered.version
  local answer, message, code = ask(node, "unregister_release", FORGOTTEN, {
    Before = atom(registered.before), Folder = charlist(registered.folder), Forget = registered.how == "added",
    Made = registered.made_releases or false, Version = charlist(version),
  })
  if answer and OK(answer) then return true end
  message = answer and term.format(answer[2]) or message
  return nil, ("release_handler on %s still knows %s, and `remove %s` takes it away: %s"):format(node.name, version, version,
    message), code or "refused"
end

-- Why a release stays, in words.
local function explain_stay(node, version, reason)
  if PERMANENT(reason) or CURRENT(reason) or TRIED(reason) or RUNS(reason) then
    return ("%s is a release that %s runs or starts with: it stays"):format(version, node.name), "in_use"
  elseif NO_SUCH_RELEASE(reason) then
    local releases = release_handler.which_releases(node)
    return ("%s has no release %s%s"):format(node.name, version,
      releases and ": it knows " .. release_handler.describe(releases) or ""), "no_such_release"
  end
  return ("%s could not be removed from %s, or not all of it: %s. Run `remove %s` again"):format(version, node.name,
    term.format(reason), version), "refused"
end

local MADE = shape.either(OK, shape.tuple(shape.is(atom "no"), shape.any))
local STARTED_AS = shape.tuple(shape.text, shape.text)

--- Makes RELEASES anew, of the release that the node was started as: where another was unpacked over the one that it was made
-- for, release_handler would take the old one for the one that runs. The old file is RELEASES.before then.
-- @param node
-- @return[1] the version
-- @return[2] nil, message, code: "refused" where release_handler knows what runs
function register.mend(node)
  local now, message, code = release_handler.current(node)
  if now then
    return nil, ("release_handler of %s knows that it runs %s: nothing was changed"):format(node.name, now.version), "refused"
  end
  if code ~= "stale_releases" then return nil, message, code end
  local folder, script, answer
  folder, message, code = release_folder.path(node)
  if folder then
    script, message, code = shape.expect(node, "init:script_id", STARTED_AS, node:call("init", "script_id"))
  end
  if not script then return nil, message, code end
  local version, path = shape.to_text(script[2]), folder .. "/RELEASES"
  local kept
  kept, message, code = release_folder.file(node, "rename", path, charlist(path .. ".before"))
  if not kept then return nil, message, code end
  answer, message, code = ask(node, "make_releases", MADE,
    { Folder = charlist(folder), Version = charlist(version), Make = true })
  if answer and OK(answer) then return version end
  release_folder.file(node, "rename", path .. ".before", charlist(path))
  return nil, ("RELEASES could not be made on %s: %s. The file is as it was"):format(node.name,
    answer and term.format(answer[2]) or message), code or "refused"
end

local NAMES = shape.list(shape.text)

--- What lies in the release folder that release_handler does not know: versions, as a failed deploy or a copy by hand leaves
-- them, and what an upload has left that was cut off. `remove` takes both away.
-- @param node
-- @tparam table releases what `release_handler.which_releases` gave
-- @return[1] a list of versions
-- @return[1] how many uploads were cut off
-- @return[2] nil, message, code
function register.unknown(node, releases)
  local folder, message, code = release_folder.path(node)
  local found, cut
  local function wildcard(pattern)
    return shape.expect(node, "filelib:wildcard", NAMES,
      node:call("filelib", "wildcard", { charlist(pattern), charlist(folder) }))
  end
  if folder then found, message, code = wildcard "*/*.rel" end
  if found then cut, message, code = wildcard ".ship-*" end
  if not cut then return nil, message, code end
  local versions, seen = {}, {}
  for i = 1, #found do
    local version = shape.to_text(found[i]):match "^(.*)/"
    if not seen[version] and not release_handler.find(releases, version) then versions[#versions + 1] = version end
    seen[version] = true
  end
  return versions, #cut
end

local function is_plain(version) return version ~= "" and not version:find "[/%c]" and not version:find "^%.%.?$" end

--- Removes a release that does not run, known to release_handler or only left on the disk, with the libraries that nothing else
-- on the node uses: no other release, no code path, no application.
-- @param node
-- @string version
-- @tparam[opt] table options `dry` (only says what would go)
-- @return[1] a list of folders below the root: "lib/shop-2.0.0", "releases/2.0.0"
-- @return[2] nil, message, code: "in_use", "no_such_release", …
function register.remove(node, version, options)
  if not is_plain(version) then return nil, ("%q is no version"):format(version), "badarg" end
  local folder, message, code = release_folder.path(node)
  if not folder then return nil, message, code end
  local answer
  answer, message, code = ask(node, "remove_release", REMOVED, {
    Folder = charlist(folder), Really = not (options and options.dry), Version = charlist(version),
  })
  if answer == nil then return nil, message, code end
  if ERROR(answer) then return nil, explain_stay(node, version, answer[2]) end
  local folders = {}
  for i, path in ipairs(answer[2]) do folders[i] = shape.to_text(path) end
  return folders
end

return register
