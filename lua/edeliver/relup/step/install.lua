--- The step that installs a release: unpack where needed, check, install, see that the version runs, make it permanent
-- where asked.
--
-- What can be found wrong is found in `prepare`, before anything is suspended. Knows nothing of sockets.
--
-- @module edeliver.relup.step.install

local core = require "edeliver.relup.core"
local engine = require "edeliver.relup.step.engine"
local environment = require "edeliver.relup.step.environment"
local expected_calls = require "edeliver.relup.step.expected_calls"
local install_outcome = require "edeliver.relup.step.install_outcome"
local look_before = require "edeliver.relup.step.look_before"
local permanent = require "edeliver.relup.step.permanent"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup = require "edeliver.relup.otp.relup"
local target = require "edeliver.relup.step.target"
local term = require "edeliver.relup.term"
local way_back = require "edeliver.relup.step.way_back"

local install = {}

local CHECK_TIMEOUT, INSTALL_TIMEOUT = 60000, 300000 -- ms

--- Finds the release on the node, finds out what can be known before anything is touched, and unpacks the release where needed;
-- a dry run leaves it in its tarball. One that was left before will do as well: that is a downgrade.
-- @param node
-- @string version
-- @param ctx
-- @tparam[opt] table options as `step` takes them
-- @return[1] the version that runs now
-- @return[2] nil, message, code
function install.unpack(node, version, ctx, options)
  local found, message, code = target.find(node, version, ctx)
  if not found then return nil, message, code end
  local fine
  fine, message, code = look_before.look(node, found, options or {}, ctx)
  if fine then fine, message, code = way_back.keep(node, found, ctx) end
  if fine and not ctx.dry_run then fine, message, code = found:unpack(node, ctx) end
  if not fine then return nil, message, code end
  ctx.relup = found.relup
  ctx.came_from = found.from
  return found.from, found
end

-- The relup's calls of the guard; none where it cannot be read.
local function calls_of(node, from, version)
  local found = from and relup.read(node, from, version)
  return expected_calls.new(found and found.script or {})
end

-- Who makes release_handler's calls: the guard, which then also knows which of the relup's calls may still cancel.
local function caller(ctx, calls, timeout, options)
  ctx.deadline = core.now() + timeout
  options.before, options.within = calls.before, calls.within
  options.serve = ctx.serve and calls:serving(ctx.serve, {
    deadline = ctx.deadline, count = options.count, refused = function(message) ctx:log("warning", message) end,
  })
  return ctx:performer(options)
end

--- Asks release_handler whether the release can be installed: it evaluates what comes before the point of no return.
-- @param node
-- @string version
-- @param ctx
-- @string now the version that runs
-- @return[1] the version that it leads from
-- @return[2] nil, message, code
function install.check(node, version, ctx, now)
  local calls, asked = calls_of(node, now, version), core.now()
  local from, message, code = release_handler.check_install_release(caller(ctx, calls, CHECK_TIMEOUT, { count = calls.before }),
    version, CHECK_TIMEOUT)
  if not from then return nil, "check_install_release: " .. message, code end
  ctx.checked_ms = core.now() - asked
  return from
end

--- Finds out, before anything is touched, whether the release can be installed; unpacks it where needed.
-- @param node
-- @string version
-- @param ctx
-- @tparam[opt] table options as `step` takes them
-- @return[1] the version that runs now
-- @return[2] nil, message, code
function install.prepare(node, version, ctx, options)
  local now, found, problem = install.unpack(node, version, ctx, options)
  if not now then return nil, found, problem end
  if ctx.dry_run and found.tarball then
    ctx:log("warning", ("%s is not unpacked yet, so check_install_release is not asked in a dry run"):format(version))
    return now
  end
  if ctx.dry_run and #expected_calls.new(found.relup.script).calls > 0 then
    ctx:log("warning", "the relup calls for instructions, so check_install_release is not asked in a dry run")
    return now
  end
  local prepared, message, code = engine.prepare(node, found, ctx)
  if prepared == nil then return nil, message, code end
  ctx.swap = prepared
  local from
  from, message, code = install.check(node, version, ctx, now)
  if not from then return nil, message, code end
  return now
end

-- What was done, or was not, with what the swap has to say of it.
local function with_swap(ctx, done, message, code)
  local reports, words, refused = engine.finish(ctx, ctx.swap)
  if not reports then return nil, done and words or message, done and refused or code end
  ctx.swapped = reports
  if not done then return nil, refused and words or message, code end
  return words == "" and done or ("%s; %s"):format(done, words)
end

--- Installs `ctx.config.version`, and looks again.
-- @param node
-- @param ctx
-- @tparam table options as `step` takes them
-- @return[1] what was done, in words
-- @return[2] nil, message, code
function install.perform(node, ctx, options)
  local config = ctx.config
  local version = config.version
  local releases = release_handler.which_releases(node)
  local now = releases and release_handler.running(releases)
  local calls, timeout = calls_of(node, now and now.version, version), options.timeout or INSTALL_TIMEOUT
  local before = now and now.version or "?"
  local done, message, code = environment.keep(node, ctx, before)
  if done and ctx.configuration then done, message, code = ctx.configuration:arm() end
  if done and ctx.swap then done, message, code = ctx.swap:arm(ctx:suspended(), config.swap_at) end
  if not done then return nil, message, code end
  done, message, code = install_outcome.tell(node, ctx, before,
    release_handler.install_release(caller(ctx, calls, timeout, install_outcome.pending(node, ctx, before)), version, timeout))
  if not done and install_outcome.UNCLEAR[code] then return nil, message, code end
  ctx.installed_at = core.now()
  -- The guard may not have been there to say so.
  if ctx.call then ctx.call:close() end
  local returns_to = releases and release_handler.permanent(releases)
  if done and not options.permanent and returns_to and returns_to.version ~= version then ctx.returns_to = returns_to.version end
  local settled, problem = environment.settle(node, ctx, done)
  if not settled then ctx:log("warning", "the environment of the applications may not be what it was: " .. problem) end
  if not ctx.swap then return done, message, code end
  return with_swap(ctx, done, message, code)
end

local KNOWN = { permanent = true, timeout = true, restart_emulator = true, forget_runtime_config = true }

--- The step. The version is `config.version` of the run.
-- @tparam[opt] table options `permanent` (when all steps have gone well, make it the release that the node starts
-- with; default false: a restart then goes back to the old one), `timeout` (ms to wait for install_release, 300000),
-- `restart_emulator` (a relup may restart the emulator, which ends every connection), `forget_runtime_config` (what config
-- providers have set while the node ran may be lost)
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
      return install.prepare(node, version, ctx, options)
    end,
    -- Last of all: it purges old code, and requests that wait in it for the end of the upgrade would die of that.
    complete = options.permanent and function(node, ctx)
      return permanent.make(node, ctx.config.version, function(text) ctx:log("warning", text) end)
    end or nil,
  }
end

return install
