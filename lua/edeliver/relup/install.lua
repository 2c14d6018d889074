--- The step that installs a release: unpack where needed, check, install, see that the version runs, make it permanent
-- where asked.
--
-- Whatever can be found wrong is found in `prepare`, before anything is suspended. Knows nothing of sockets.
--
-- @module edeliver.relup.install

local release_handler = require "edeliver.relup.otp.release_handler"
local term = require "edeliver.relup.term"

local install = {}

local UNPACK_TIMEOUT, CHECK_TIMEOUT, INSTALL_TIMEOUT, RESTART_TIMEOUT = 120000, 60000, 300000, 20000 -- ms

local function find(releases, wanted)
  for _, release in ipairs(releases) do
    if wanted(release) then return release end
  end
end

local function is_running(release) return release.status == "current" end

-- The release that runs: the current one, or the permanent one where that was never left.
local function running(releases)
  return find(releases, is_running) or find(releases, function(release) return release.status == "permanent" end)
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

--- Finds out, before anything is touched, whether the release can be installed; unpacks it where needed.
-- @param node
-- @string version
-- @param ctx
-- @return[1] the version that runs now
-- @return[2] nil, message, code
function install.prepare(node, version, ctx)
  local releases, message, code = release_handler.which_releases(node)
  if not releases then return nil, message, code end
  local now = running(releases)
  if not now then return nil, node.name .. " knows no release that it runs", "refused" end
  if now.version == version then
    return nil, ("%s runs %s already"):format(node.name, version), "already_installed"
  end
  if not find(releases, function(release) return release.version == version end) then
    local names = tarballs(now.name, version)
    local unpacked
    unpacked, message, code = unpack_any(node, names, releases, version, ctx)
    if not unpacked then return nil, message, code end
  end
  local from
  from, message, code = release_handler.check_install_release(node, version, CHECK_TIMEOUT)
  if not from then return nil, "check_install_release: " .. message, code end
  return now.version
end

-- Looks whether the node came back after it went down in the middle, to say what it runs now.
local function after_loss(node, version, message)
  if node:reconnect(RESTART_TIMEOUT) then
    local releases = release_handler.which_releases(node)
    local now = releases and running(releases)
    if now then
      return nil, ("%s went down while %s was being installed and runs %s now: a failure after the point of no return makes "
        .. "a node restart into the release that it had, and its connections are gone (%s)"):format(
        node.name, version, now.version, message), "nodedown"
    end
  end
  return nil, ("%s went down while %s was being installed and has not come back: look at its log (%s)"):format(
    node.name, version, message), "nodedown"
end

local function run(options)
  return function(node, _, ctx)
    local version = ctx.config.version
    local from, how, code = release_handler.install_release(node, version, options.timeout or INSTALL_TIMEOUT)
    if not from then
      if code == "nodedown" then return after_loss(node, version, how) end
      if code == "timeout" then
        how = how .. ": the node may still be at it; its release_handler answers when it has finished"
      end
      return nil, ("install_release of %s: %s"):format(version, how), code
    end
    if how == "continue_after_restart" then
      return nil, ("%s restarts its emulator to install %s: connections do not survive that"):format(node.name, version),
        "restart"
    end
    local releases, message, why = release_handler.which_releases(node)
    if not releases then return nil, message, why end
    local now = running(releases)
    if not now or now.version ~= version then
      return nil, ("%s was installed, but %s runs %s"):format(version, node.name, now and now.version or "nothing"), "refused"
    end
    if options.permanent then
      local made
      made, message, why = release_handler.make_permanent(node, version, CHECK_TIMEOUT)
      if not made then return nil, ("%s runs, but could not be made permanent: %s"):format(version, message), why end
    end
    return ("%s -> %s%s"):format(from, version, options.permanent and ", permanent" or "")
  end
end

local KNOWN = { permanent = true, timeout = true }

--- The step. The version is `config.version` of the run.
-- @tparam[opt] table options `permanent` (make it the release that the node starts with; default false: a restart then goes
-- back to the old one), `timeout` (ms to wait for install_release, 300000)
function install.step(options)
  options = options or {}
  for option in pairs(options) do
    if not KNOWN[option] then error(("install has no option %q"):format(tostring(option)), 3) end
  end
  return {
    name = "install",
    run = run(options),
    prepare = function(node, ctx)
      local version = ctx.config.version
      if term.kind(version) ~= "binary" then error("an install needs config.version, a string", 0) end
      return install.prepare(node, version, ctx)
    end,
  }
end

return install
