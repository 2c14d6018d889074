--- Real releases of `mix release`: an umbrella in two versions, built once and kept in build/.

local node = require "support.node"
local process = require "support.process"

local releases = {}

local SOURCES = process.root .. "/spec/support/releases"

-- What they are made of, so that they are built anew when that changes.
local function stamp()
  return (process.output(("cd %s && find . -type f | LC_ALL=C sort | xargs cat | md5sum && elixir --version 2>&1 | md5sum")
    :format(process.quote(SOURCES))))
end

--- The folder that has shop-1.0.0, shop-2.0.0 and their .tar.gz.
function releases.built()
  if releases.folder then return releases.folder end
  local folder = process.root .. "/build/releases"
  local wanted = stamp()
  local known = io.open(folder .. "/stamp", "rb")
  local is_there = known and known:read "a" == wanted
  if known then known:close() end
  if not is_there then
    assert(os.execute(("rm -rf %s && mkdir -p %s"):format(process.quote(folder), process.quote(folder))))
    local text, good = process.output(("%s/build %s %s 2>&1"):format(process.quote(SOURCES), process.quote(SOURCES),
      process.quote(folder)))
    assert(good, text)
    local file <close> = assert(io.open(folder .. "/stamp", "wb"))
    file:write(wanted)
  end
  releases.folder = folder
  return folder
end

--- A copy of one that may be changed, with a folder around it.
-- @string version
-- @return the path, below `folder`
function releases.copy(version, folder)
  local path = ("%s/shop-%s"):format(folder, version)
  assert(os.execute(("rm -rf %s && cp -r %s/shop-%s %s"):format(process.quote(path), process.quote(releases.built()), version,
    process.quote(path))))
  return path
end

--- Starts a release as a node.
-- @string path a copy of a release
-- @tparam[opt] table env more variables of its environment
-- @return a node (see support.node) with `root`
function releases.start(path, env)
  local settings, _, self = node.prepare { name = "shop" }
  settings.RELEASE_DISTRIBUTION, settings.RELEASE_NODE, settings.RELEASE_COOKIE = "name", self.name, self.cookie
  settings.RELEASE_TMP = self.folder .. "/tmp"
  settings.ERL_AFLAGS = "-kernel inet_dist_use_interface {127,0,0,1}"
  for name, value in pairs(env or {}) do settings[name] = value end
  self.root = path
  node.adopt(self, process.start { command = { path .. "/bin/shop", "start" }, env = settings, folder = self.folder })
  local ready = process.wait_until(function()
    return self:eval "true = lists:keymember(shop, 1, application:which_applications())" == "true"
  end, 20000)
  if not ready then
    local printed = self:printed()
    self:stop()
    error("the release did not start:\n" .. printed, 2)
  end
  return self
end

return releases
