--- The step that installs a release: unpack where needed, check, install, see that the version runs, make it permanent
-- where asked.
--
-- Whatever can be found wrong is found in `prepare`, before anything is suspended. Knows nothing of sockets.
--
-- @module edeliver.relup.step.install

local core = require "edeliver.relup.core"
local expected_calls = require "edeliver.relup.step.expected_calls"
local install_outcome = require "edeliver.relup.step.install_outcome"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup = require "edeliver.relup.otp.relup"
local term = require "edeliver.relup.term"

local install = {}

local UNPACK_TIMEOUT, CHECK_TIMEOUT, INSTALL_TIMEOUT = 120000, 60000, 300000 -- ms

local function find(releases, wanted)
  for _, release in ipairs(releases) do
    if wanted(release) then return release end
  end
end

local function describe(releases)
  local words = {}
  for i, release in ipairs(releases) do words[i] = ("%s (%s)"):format(release.version, release.status) end
  return table.concat(words, ", ")
end

-- Where tarballs lie by custom: releases/NAME-VERSION.tar.gz (systools), releases/VERSION/NAME.tar.gz (distillery, mix).
local function tarballs(name, version) return { name .. "-" .. version, version .. "/" .. name } end

local function unpack_any(node, names, releases, version, ctx)
  local last
  for _, name in ipairs(names) do
    local unpacked, message, code = release_handler.unpack_release(node, name, UNPACK_TIMEOUT)
    if unpacked == version then
      ctx:log("info", ("unpacked releases/%s.tar.gz"):format(name))
      return true
    elseif unpacked then
      return nil, ("releases/%s.tar.gz on %s holds version %s, not %s"):format(name, node.name, unpacked, version), "refused"
    elseif code ~= "refused" then
      return nil, message, code
    end
    last = message
  end
  return nil, ("%s has no release %s: it knows %s, and no tarball releases/%s.tar.gz can be unpacked there (%s). "
    .. "Copy the tarball to the node and run this again"):format(
    node.name, version, describe(releases), table.concat(names, ".tar.gz or releases/"), last), "no_such_release"
end

--- Finds the release on the node; unpacks it where needed. One that was left before will do as well: that is a downgrade.
-- @param node
-- @string version
-- @param ctx
-- @return[1] the version that runs now
-- @return[2] nil, message, code
function install.unpack(node, version, ctx)
  local releases, message, code = release_handler.which_releases(node)
  if not releases then return nil, message, code end
  local now = release_handler.running(releases)
  if not now then return nil, node.name .. " knows no release that it runs", "refused" end
  if now.version == version then
    return nil, ("%s runs %s already"):format(node.name, version), "already_installed"
  end
  if not find(releases, function(release) return release.version == version end) then
    if ctx.dry_run then
      return nil, ("%s is not unpacked on %s, and a dry run unpacks nothing"):format(version, node.name), "no_such_release"
    end
    local unpacked
    unpacked, message, code = unpack_any(node, tarballs(now.name, version), releases, version, ctx)
    if not unpacked then return nil, message, code end
  end
  return now.version
end

-- The relup's calls of the guard; none where it cannot be read.
local function calls_of(node, from, version)
  local found = from and relup.read(node, from, version)
  return expected_calls.new(found and found.script or {})
end

-- Who makes release_handler's calls: the guard, which then also knows which of the relup's calls may still cancel.
local function caller(node, ctx, calls, timeout, count)
  if not ctx.guard then return node end
  ctx.deadline = core.now() + timeout
  return ctx.guard:performer {
    before = calls.before, within = calls.within, serve = calls:serving(ctx.serve, {
      deadline = ctx.deadline, count = count, refused = function(message) ctx:log("warning", message) end,
    }),
  }
end

--- Asks release_handler whether the release can be installed: it evaluates what stands before the point of no return.
-- @param node
-- @string version
-- @param ctx
-- @string now the version that runs
-- @return[1] the version that it leads from
-- @return[2] nil, message, code
function install.check(node, version, ctx, now)
  local calls = calls_of(node, now, version)
  local from, message, code = release_handler.check_install_release(caller(node, ctx, calls, CHECK_TIMEOUT, calls.before),
    version, CHECK_TIMEOUT)
  if not from then return nil, "check_install_release: " .. message, code end
  return from
end

--- Finds out, before anything is touched, whether the release can be installed; unpacks it where needed.
-- @param node
-- @string version
-- @param ctx
-- @return[1] the version that runs now
-- @return[2] nil, message, code
function install.prepare(node, version, ctx)
  local now, message, code = install.unpack(node, version, ctx)
  if not now then return nil, message, code end
  if ctx.dry_run and #calls_of(node, now, version).calls > 0 then
    ctx:log("warning", "the relup calls for instructions, so check_install_release is not asked in a dry run")
    return now
  end
  local from
  from, message, code = install.check(node, version, ctx, now)
  if not from then return nil, message, code end
  return now
end

-- Makes the release permanent, and says before whom that may cost: what is left to be purged is purged then.
local function make_permanent(node, version, ctx)
  local old, pids = release_handler.running_old_code(node)
  if not old then return nil, pids, "refused" end
  for _, entry in ipairs(old) do
    ctx:log("warning", ("make_permanent: %s run old code of %s, and end now if its post-purge is brutal_purge"):format(
      tostring(entry.pids), entry.module))
  end
  local made, message, code = release_handler.make_permanent(node, version, CHECK_TIMEOUT)
  if not made then return nil, ("%s runs, but could not be made permanent: %s"):format(version, message), code end
  return version .. " is what the node starts with from now on"
end

--- Installs `ctx.config.version`, and looks again.
-- @param node
-- @param ctx
-- @tparam table options as `step` takes them
-- @return[1] what was done, in words
-- @return[2] nil, message, code
function install.perform(node, ctx, options)
  local version = ctx.config.version
  local releases = release_handler.which_releases(node)
  local now = releases and release_handler.running(releases)
  local calls, timeout = calls_of(node, now and now.version, version), options.timeout or INSTALL_TIMEOUT
  local before = now and now.version or "?"
  ctx.under_way = install_outcome.pending(node, ctx, before)
  local done, message, code = install_outcome.tell(node, ctx, before,
    release_handler.install_release(caller(node, ctx, calls, timeout), version, timeout))
  if done and ctx.guard then ctx.guard.performing = nil end -- it may have gone before it could say so
  if done or not install_outcome.UNCLEAR[code] then ctx.under_way = nil end
  return done, message, code
end

local KNOWN = { permanent = true, timeout = true }

--- The step. The version is `config.version` of the run.
-- @tparam[opt] table options `permanent` (when all steps have gone well, make it the release that the node starts
-- with; default false: a restart then goes back to the old one), `timeout` (ms to wait for install_release, 300000)
function install.step(options)
  options = options or {}
  for option in pairs(options) do
    if not KNOWN[option] then error(("install has no option %q"):format(tostring(option)), 3) end
  end
  return {
    name = "install",
    options = options,
    run = function(node, _, ctx) return install.perform(node, ctx, options) end,
    prepare = function(node, ctx)
      local version = ctx.config.version
      if term.kind(version) ~= "binary" then error("an install needs config.version, a string", 0) end
      return install.prepare(node, version, ctx)
    end,
    -- Last of all: it purges old code, and requests that wait in it for the end of the upgrade would die of that.
    complete = options.permanent and function(node, ctx) return make_permanent(node, ctx.config.version, ctx) end or nil,
  }
end

return install
