--- Real releases of `mix release`: umbrellas in several versions, built once and kept in build/.
--
-- The module itself is `shop`, for plans; `releases.of "depot"` is another, which is deployed.

local built = require "support.built"
local node = require "support.node"
local process = require "support.process"

local SUPPORT = process.root .. "/spec/support"
local KINDS = {
  shop = { sources = SUPPORT .. "/releases", versions = { "1.0.0", "2.0.0" } },
  depot = { sources = SUPPORT .. "/depot", versions = { "1.0.0", "2.0.0", "3.0.0" } },
}

local methods = {}
methods.__index = methods

--- The folder that has NAME-1.0.0, NAME-2.0.0 and their .tar.gz.
function methods:built()
  local sources, build = process.quote(self.sources), process.quote(SUPPORT .. "/releases/build")
  self.folder = self.folder or built(self.name,
    ("cat $(find %s -type f | LC_ALL=C sort) %s && elixir --version"):format(sources, build),
    ('%s %s "$OUT" %s %s'):format(build, sources, self.name, table.concat(self.versions, " ")))
  return self.folder
end

--- A copy of one that may be changed, with a folder around it.
-- @string version
-- @return the path, below `folder`
function methods:copy(version, folder)
  local path = ("%s/%s-%s"):format(folder, self.name, version)
  assert(os.execute(("rm -rf %s && cp -r %s/%s-%s %s"):format(process.quote(path), process.quote(self:built()), self.name,
    version, process.quote(path))))
  return path
end

--- Starts a release as a node.
-- @string path a copy of a release
-- @tparam[opt] table env more variables of its environment
-- @return a node (see support.node) with `root`
function methods:start(path, env)
  local settings, _, started = node.prepare { name = self.name }
  settings.RELEASE_DISTRIBUTION, settings.RELEASE_NODE, settings.RELEASE_COOKIE = "name", started.name, started.cookie
  settings.RELEASE_TMP = started.folder .. "/tmp"
  settings.ERL_AFLAGS = "-kernel inet_dist_use_interface {127,0,0,1}"
  for name, value in pairs(env or {}) do settings[name] = value end
  started.root = path
  node.adopt(started, process.start {
    command = { path .. "/bin/" .. self.name, "start" }, env = settings, folder = started.folder,
  })
  local ready = process.wait_until(function()
    return started:eval(("true = lists:keymember(%s, 1, application:which_applications())"):format(self.name)) == "true"
  end, 60000) -- one that Elixir restarts to configure it boots twice, on a busy machine
  if not ready then
    local printed = started:printed()
    started:stop()
    error("the release did not start:\n" .. printed, 2)
  end
  return started
end

local releases = {}

local made = {}

--- The releases of a name: "shop" or "depot".
function releases.of(name)
  local kind = KINDS[name]
  made[name] = made[name] or setmetatable({ name = name, sources = kind.sources, versions = kind.versions }, methods)
  return made[name]
end

--- The reasons of a plan, each as "level code place", in its order.
function releases.said(plan)
  local list = {}
  for i, reason in ipairs(plan.reasons) do list[i] = ("%s %s %s"):format(reason.level, reason.code, reason.place) end
  return list
end

function releases.built() return releases.of("shop"):built() end
function releases.copy(version, folder) return releases.of("shop"):copy(version, folder) end
function releases.start(path, env) return releases.of("shop"):start(path, env) end

return releases
