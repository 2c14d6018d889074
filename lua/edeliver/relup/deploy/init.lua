--- The deploy: a release is brought to a node, registered there, and installed while the node runs; then the node is held
-- against it.
--
-- The step around the install that exists: what it brings, before anything is suspended; what no relup can say; what is looked at
-- afterwards. What fails takes away again what was brought. Knows no web server.
--
-- @module edeliver.relup.deploy

local bring = require "edeliver.relup.deploy.bring"
local children = require "edeliver.relup.deploy.children"
local configuration = require "edeliver.relup.deploy.configuration"
local count = require "edeliver.relup.base.count"
local install = require "edeliver.relup.step.install"
local modules = require "edeliver.relup.deploy.modules"
local pages = require "edeliver.relup.deploy.pages"
local permanent = require "edeliver.relup.step.permanent"
local planned = require "edeliver.relup.deploy.planned"
local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup_on = require "edeliver.relup.otp.relup"
local verify = require "edeliver.relup.deploy.verify"
local way_back = require "edeliver.relup.deploy.way_back"

local deploy = {}

local REHEARSE = 100 -- states of each module, by default

--- Plans a deploy; asks, and changes nothing. See `edeliver.relup.deploy.planned`.
deploy.plan = planned.make

--- Where a rollback would lead. See `edeliver.relup.deploy.way_back`.
deploy.way_back = way_back.find

-- What the relup leaves out, for the engine.
local function add_to_install(node, ctx, from, version)
  local root, message, code = release_folder.root(node)
  local found, relup
  if root then found, message, code = modules.of(node, version) end
  if found then relup, message, code = relup_on.read(node, from, version) end
  if not relup then return nil, message, code end
  local resolved
  resolved, message, code = configuration.resolve(node, { version = version, from = from, root = root }, ctx,
    { keep_env = ctx.deployed.options.keep_env, values = ctx.deployed.options.values })
  if not resolved then return nil, message, code end
  ctx.deployed.configuration, ctx.configuration = resolved, resolved
  ctx:log("info", resolved:describe())
  ctx.deployed.carried = pages.carry_over(node, ctx, from, version)
  local load, paths = modules.missing_in(found, relup.script)
  ctx.additions = { head = { resolved.instruction }, load = load, paths = paths, children = true }
  if #load > 0 then
    ctx:log("info", ("%s of %s that no relup reaches: loaded in the same stop"):format(count.of(#load, "module"), version))
  end
  return true
end

local function look_for_way_back(node, ctx, this)
  local found, message, code = way_back.look(node, this.from, this.version)
  if not found then return nil, message, code end
  this.way_back = found
  if not found.possible then ctx:log("warning", "There will be no rollback: " .. found.why) end
  return true
end

-- The step -------------------------------------------------------------------------------------------------------------

local function prepare(node, ctx, this)
  local fine, message, code = this.before_install(node, ctx, this)
  if fine and ctx.dry_run then return fine end
  if fine then fine, message, code = add_to_install(node, ctx, this.from, this.version) end
  -- The install may have another relup there for its time.
  if fine and this.planned then fine, message, code = look_for_way_back(node, ctx, this) end
  if fine then fine, message, code = install.prepare(node, this.version, ctx, this.install_options) end
  if fine and this.starting then fine, message, code = this.starting.prepare(node, ctx) end
  if not fine then return nil, message, code end
  return this.from
end

-- Holds the node against the release.
local function look(node, this)
  local seen, message, code = verify.modules(node, this.version, { md5s = this.md5s, removed = this.removed })
  local at_children, values
  if seen then at_children, message, code = verify.children(node, this.changed, this.removed) end
  if at_children then values, message, code = this.configuration:verify() end
  if not values and code == "exit" and at_children then
    message, code = "what was resolved of its configuration is gone with the guard of this run", "not_verified"
  end
  if not values then
    return nil, ("%s runs %s, and that could not be verified to the end: %s"):format(node.name, this.version, message), code
  end
  this.verified = {
    modules = seen.modules, equal = seen.equal, different = seen.different, not_loaded = seen.not_loaded, children = at_children,
    values = values.keys, values_different = values.different,
  }
  local problem = verify.problem(seen, at_children, values.different)
  if problem then
    return nil, ("%s runs %s, and not all of it is as the release has it: %s"):format(node.name, this.version, problem),
      "not_verified"
  end
  return verify.in_words(seen, this.version)
end

-- The install, with the children that are ended before it on the way back, or started behind it.
local function perform(node, ctx, this)
  local done, message, code = true, nil, nil
  if this.ending then done, message, code = this.ending.run(node, nil, ctx) end
  if not done then return nil, message, code end
  if type(done) == "string" then ctx:log("info", done) end
  done, message, code = install.perform(node, ctx, this.install_options)
  this.installed = done ~= nil
  if not done and this.ending then this.ending.undo(node, ctx) end
  if not done or not this.starting then return done, message, code end
  local started
  started, message, code = this.starting.run(node, nil, ctx)
  if not started then
    return nil, ("%s. %s is installed, and runs without it: `rollback` takes the node back"):format(message, this.version), code
  end
  return ("%s; %s"):format(done, started)
end

-- When everybody runs again: nothing stands still for it, and nothing of it could be undone.
local function complete(node, ctx, this)
  local words, message, code = look(node, this)
  if not words then return nil, message, code end
  if not this.options.permanent then return words end
  local made
  made, message, code = permanent.make(node, this.version, function(text) ctx:log("warning", text) end)
  if not made then return nil, message, code end
  this.is_permanent = true
  return ("%s; %s"):format(words, made)
end

-- Whatever became of it.
local function finally(node, ctx, this, ours)
  -- Its holder on the node ends with the guard, whatever comes of this.
  if this.configuration then this.configuration:leave() end
  if this.installed then
    pages.renew(node, ctx, this.configuration.changed)
  elseif ours and not release_handler.runs(node, this.version) then
    if this.carried then pages.take_back(node, ctx, this.carried) end
    if this.configuration then this.configuration:take_back() end
  end
  return not this.take_away or this.take_away(node, ctx, this, ours)
end

-- A step of either direction. `begin(node, config)` gives what it is about, before the run begins.
local function step(options, begin)
  local this
  return {
    name = "install", options = options,
    begin = function(node, config)
      if config.engine == "otp" then
        return nil, ("OTP's engine leaves out what no relup reaches: consolidated protocols, and children of supervisors. A "
          .. "deploy to %s takes the swap. Nothing was changed"):format(node.name), "refused"
      end
      local message, code
      this, message, code = begin(node, config)
      if not this then return nil, message, code end
      this.options = options
      this.install_options = { permanent = options.permanent, timeout = options.timeout }
      config.version, config.name = this.version, config.name or this.name
      config.engine = "swap"
      if config.rehearse == nil then config.rehearse = REHEARSE end
      return true
    end,
    prepare = function(node, ctx)
      ctx.deployed = this
      return prepare(node, ctx, this)
    end,
    run = function(node, _, ctx) return perform(node, ctx, this) end,
    complete = function(node, ctx) return complete(node, ctx, this) end,
    finally = function(node, ctx, ours) return not ctx.deployed or finally(node, ctx, this, ours) end,
  }
end

-- Up -------------------------------------------------------------------------------------------------------------------

local function before_up(node, ctx, this)
  local fine, known, code = this.planned:look_again()
  local overridden
  if fine then fine, overridden, code = this.planned:allowed(this.options.anyway) end
  if not fine then return nil, known or overridden, code end
  for _, reason in ipairs(overridden) do ctx:log("warning", "overridden: " .. reason.text) end
  if ctx.dry_run then
    local compared = this.planned.compared
    return ("a deploy would send %s, %s"):format(count.of(compared.files, "file"), count.of(compared.bytes, "byte"))
  end
  return bring.there(node, ctx, this)
end

local function md5s_of(release)
  local md5s = {}
  for name, module in pairs(release.modules) do md5s[name] = module.md5 end
  return md5s
end

local UP = {
  release = true, permanent = true, timeout = true, anyway = true, keep_env = true, version_suffix = true, progress = true,
  start_children = true, values = true,
}

--- The step that deploys a release.
-- @tparam table options `release` (a path, or what `deploy.plan` gave), `permanent`, `timeout` (as `step.install` takes them),
-- `anyway` (reasons to restart instead are overridden), `keep_env` (the configuration stays as it is), `version_suffix` (a
-- version that runs already and has other content gets another name), `start_children`, `values` (those of
-- the configuration that change are shown, secrets masked), `progress` (a function of bytes sent and all bytes)
function deploy.step(options)
  for option in pairs(options) do
    if not UP[option] then error(("install has no option %q where it deploys a release"):format(tostring(option)), 3) end
  end
  return step(options, function(node)
    local made, message, code = options.release, nil, nil
    if getmetatable(made) ~= planned then made, message, code = planned.make(node, options.release, options) end
    if not made then return nil, message, code end
    return {
      planned = made, from = made.from, version = made.version, name = made.name, md5s = md5s_of(made.release),
      changed = made.plan.modules.changed, removed = made.plan.modules.removed, before_install = before_up,
      take_away = bring.back,
      starting = options.start_children and children.starting(function() return made.plan end),
    }
  end)
end

-- Down -----------------------------------------------------------------------------------------------------------------

local function before_down(_, ctx, this)
  if ctx.dry_run then return ("a rollback would lead to %s"):format(this.version) end
  return true
end

--- The step that leads back.
-- @tparam[opt] table options `to` (a version; by default the one that the running one was deployed over), `permanent`, `timeout`,
-- `keep_env`
function deploy.rollback(options)
  options = options or {}
  return step(options, function(node)
    local found, message, code = way_back.find(node, options.to)
    if not found then return nil, message, code end
    return {
      from = found.from, version = found.to, name = found.name, changed = found.changed, removed = found.removed,
      before_install = before_down, ending = children.ending(),
    }
  end)
end

return deploy
