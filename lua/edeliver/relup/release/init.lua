--- What a release is, read from its folder or its tarball: applications, modules by content, protocols, configuration, files.
--
-- Knows the layouts of `mix release`, of rebar3 (relx) and of systools. One pass over the files takes a digest of each; what a
-- module's file says is read when it is asked for. Nothing is unpacked or run, and no node is
-- asked. What a release names and does not have is an error, never left out.
--
-- @classmod edeliver.relup.release

local module = require "edeliver.relup.release.module"
local resource = require "edeliver.relup.release.resource"
local scan = require "edeliver.relup.release.scan"
local source = require "edeliver.relup.release.source"
local verified_file = require "edeliver.relup.release.verified_file"

local release = {}
release.__index = release

-- Which release it is -------------------------------------------------------------------------------------------------

local function fail(self, name, message, code) return nil, ("%s/%s: %s"):format(self.path, name, message), code end

-- All .rel files, by version; of two of one version, the one in the version's folder counts.
local function releases_in(self)
  local names, found = {}, {}
  for name in pairs(self.texts) do
    -- mix's start_clean.rel and relx's no_dot_erlang.rel are for shells.
    if name:find "%.rel$" and not name:find "/start_clean%.rel$" and not name:find "/no_dot_erlang%.rel$" then
      names[#names + 1] = name
    end
  end
  table.sort(names, function(a, b) return #a == #b and a < b or #a < #b end)
  for _, name in ipairs(names) do
    local rel, message, code = resource.release(self.texts[name])
    if not rel then return fail(self, name, message, code) end
    rel.path = name
    found[rel.version] = rel
  end
  return found
end

local function choose(self, found, wanted)
  local versions = {}
  for version in pairs(found) do versions[#versions + 1] = version end
  table.sort(versions)
  if #versions == 0 then
    return nil, ("%s is no release: it has no releases/VERSION/NAME.rel"):format(self.path), "not_a_release"
  end
  local started = (self.texts["releases/start_erl.data"] or ""):match "^%S+%s+(%S+)"
  local version = wanted or #versions == 1 and versions[1] or started
  if version and found[version] then return found[version] end
  if version then
    return nil, ("%s has no release of version %s; it has %s"):format(self.path, version, table.concat(versions, ", ")),
      "not_a_release"
  end
  return nil, ("%s holds the releases %s; say which with its version"):format(self.path, table.concat(versions, ", ")),
    "ambiguous"
end

-- Applications and modules --------------------------------------------------------------------------------------------

local function add_modules(self, application, app)
  local folder = application.folder .. "/ebin/"
  for _, name in ipairs(app.modules) do
    local beam = self.beams[folder .. name .. ".beam"]
    if not beam then
      return nil, ("%s/%s%s.app names the module %s, and %s%s.beam is not there"):format(self.path, folder, application.name,
        name, folder, name), "missing"
    end
    local other = self.modules[name]
    if other then
      return nil, ("%s has the module %s twice, in %s and %s"):format(self.path, name, other.path, beam.path), "duplicate"
    end
    beam.name, beam.application = name, application.name
    self.modules[name] = beam
  end
  return true
end

-- A release without a VM of its own (`include_erts: false`) finds OTP's applications on the machine where it runs.
local OTP = {}
for name in ([[asn1 common_test compiler crypto debugger dialyzer diameter edoc eldap erl_docgen erl_interface et eunit ftp
  inets jinterface kernel megaco mnesia observer odbc os_mon parsetools public_key reltool runtime_tools sasl snmp ssh ssl
  stdlib syntax_tools tftp tools wx xmerl]]):gmatch "%S+" do OTP[name] = true end

local function add_external(self, listed)
  local app = { name = listed.name, version = listed.version, modules = {}, applications = {}, included = {}, optional = {} }
  self.applications[listed.name] = {
    name = listed.name, version = listed.version, start_type = listed.start_type, is_external = true, app = app,
  }
  self.order[#self.order + 1] = listed.name
  return true
end

local function add_application(self, listed)
  local folder = ("lib/%s-%s"):format(listed.name, listed.version)
  local path = ("%s/ebin/%s.app"):format(folder, listed.name)
  local text = self.texts[path]
  if not text and OTP[listed.name] and not self.machine then return add_external(self, listed) end
  if not text then
    return nil, ("%s/%s names the application %s %s, and %s is not there"):format(self.path, self.rel_path, listed.name,
      listed.version, path), "missing"
  end
  local app, message, code = resource.application(text)
  if not app then return fail(self, path, message, code) end
  if app.name ~= listed.name or app.version ~= listed.version then
    return fail(self, path, ("it is of %s %s, not of %s %s"):format(app.name, app.version, listed.name, listed.version),
      "mismatch")
  end
  local application = { name = listed.name, version = listed.version, start_type = listed.start_type, folder = folder, app = app }
  local appup = self.texts[folder .. "/ebin/" .. listed.name .. ".appup"]
  -- One that cannot be read is no error here: it may not be needed.
  if appup then application.appup, application.appup_problem = resource.appup(appup) end
  self.applications[listed.name] = application
  self.order[#self.order + 1] = listed.name
  return add_modules(self, application, app)
end

-- Protocols are there twice: as they were compiled, and consolidated, which is what runs.
local function add_consolidated(self)
  local folder = self.folder .. "/consolidated/"
  for name, beam in pairs(self.beams) do
    local protocol = name:sub(1, #folder) == folder and name:match "([^/]+)%.beam$"
    if protocol then
      local plain = self.modules[protocol]
      beam.name, beam.application, beam.consolidated = protocol, plain and plain.application, true
      self.modules[protocol] = beam
      self.protocols[protocol] = beam
    end
  end
end

local function add_boot(self)
  for _, stem in ipairs { "start", self.name } do
    local path = ("%s/%s.boot"):format(self.folder, stem)
    if self.texts[path] then
      local boot, message, code = resource.boot(self.texts[path], self.texts[("%s/%s.script"):format(self.folder, stem)])
      if boot == nil then return fail(self, path, message, code) end
      self.boot = boot
      return true
    end
  end
  return true
end

local function add_configuration(self)
  local path = self.folder .. "/sys.config"
  self.configuration, self.providers = {}, {}
  if not self.texts[path] then return true end
  local values, files, code = resource.configuration(self.texts[path])
  if not values then return fail(self, path, files, code) end
  self.configuration, self.includes = values, files
  self.providers, self.provider_init = resource.providers(values)
  return true
end

local function layout_of(self)
  if self.texts[self.folder .. "/env.sh"] then return "mix" end
  if self.rel_path:find "^releases/[^/]+%.rel$" then return "systools" end
  return self.files[self.folder .. "/vm.args"] and "relx" or "systools"
end

local STEPS = { add_boot, add_configuration }

local function describe(self, rel)
  self.name, self.version, self.erts, self.rel_path = rel.name, rel.version, rel.erts, rel.path
  self.folder = "releases/" .. rel.version
  for _, listed in ipairs(rel.applications) do
    local done, message, code = add_application(self, listed)
    if not done then return nil, message, code end
  end
  add_consolidated(self)
  for _, step in ipairs(STEPS) do
    local done, message, code = step(self)
    if not done then return nil, message, code end
  end
  self.layout = layout_of(self)
  return self
end

--- What an .app file says; see `edeliver.relup.release.resource`.
release.read_application = resource.application

--- Reads a release from whatever has its files.
-- @tparam table from an object with `path`, `kind`, `each` and `read` as `edeliver.relup.release.source` has them
-- @tparam[opt] table options as `open` takes them
-- @return as `open`
function release.from(from, options)
  local self = setmetatable({
    path = from.path, kind = from.kind, source = from, beams = {}, texts = {}, files = {}, links = {},
    applications = {}, order = {}, modules = {}, protocols = {},
  }, release)
  local done, message, code = scan.files(self)
  if not done then return nil, message, code end
  local found, rel
  found, message, code = releases_in(self)
  if not found then return nil, message, code end
  rel, message, code = choose(self, found, options and options.version)
  if not rel then return nil, message, code end
  return describe(self, rel)
end

--- Reads a release.
-- @string path a folder, or a .tar.gz
-- @tparam[opt] table options `version`, where a folder holds several
-- @return[1] a release: `name`, `version`, `erts`, `machine`, `layout`, `applications` and `modules` (by name), `order` (of the
-- applications in the .rel file), `protocols`, `configuration`, `providers`, `files` (size and hash of priv files and of those of
-- the version's folder)
-- @return[2] nil, message with the file's name, code
function release.open(path, options)
  local from, message, code = source.open(path)
  if not from then return nil, message, code end
  return release.from(from, options)
end

--- Reads a release that is checked first, where it is a tarball: by the digest beside it, and by a signature. What is read of it
-- from then on is what was checked; see `edeliver.relup.release.verified_file`.
-- @string path a folder, or a .tar.gz
-- @tparam[opt] string key_path file with an Ed25519 public key (PEM): the tarball must then be signed by its owner, and a folder
-- is refused
-- @return[1] a release, with `verified`: a list of "sha256", "signature"
-- @return[2] nil, message, code: "checksum", "signature", …
function release.open_verified(path, key_path)
  local file, checked, code = verified_file.open(path, key_path)
  if not file and code == "not_plain" and not key_path then
    local opened, message, why = release.open(path)
    if opened then opened.verified = {} end
    return opened, message, why
  elseif not file and code == "not_plain" then
    return nil, path .. " is no tarball: a signature is of one file. Nothing was sent", "signature"
  elseif not file then
    return nil, checked, code
  end
  local opened, message, why = release.from(source.of_file(path, file))
  if not opened then return nil, message, why end
  opened.verified = checked
  return opened
end

--- What the files of some modules say.
-- @tparam table names a set or a list of modules' names
-- @func visit gets a name and a module (see `edeliver.relup.release.module`), which is closed when it returns; false, message,
-- code from it end it all
-- @return[1] true
-- @return[2] nil, message, code
function release:visit_modules(names, visit)
  local wanted = {}
  local function add(name)
    if self.modules[name] then wanted[self.modules[name].path] = true end
  end
  for key, value in pairs(names) do add(type(key) == "string" and value and key or value) end
  return self.source:read(wanted, function(path, bytes)
    local opened, message, code = module.open(bytes)
    if not opened then return nil, ("%s/%s: %s"):format(self.path, path, message), code end
    local name = path:match "([^/]+)%.beam$"
    local refused
    refused, message, code = visit(name, opened)
    opened:close()
    if refused == false then return nil, ("%s/%s: %s"):format(self.path, path, message), code end
    return true
  end)
end

--- The md5 that OTP gives the code of some modules.
-- @tparam table names a set or a list of modules' names
-- @return[1] a table from name to 32 hexadecimal digits
-- @return[2] nil, message, code
function release:md5s(names)
  local found = {}
  local done, message, code = self:visit_modules(names, function(name, beam) found[name] = beam.file:md5() end)
  if not done then return nil, message, code end
  return found
end

--- The size and hash of a file of the version's own folder: "vm.args", "env.sh".
function release:own_file(name) return self.files[self.folder .. "/" .. name] end

return release
