--- A release whose applications, or itself, have other versions than it was built with: as whoever reads it sees it, without a
-- copy.
--
-- For versions that nobody bumped: release_handler tells libraries and releases apart by their versions alone, so what has other
-- content under the same version needs another one: `VERSION+h` and eight hexadecimal digits of its content. Folders, .app, .rel,
-- boot scripts, and the paths in sys.config say so then. Asks no node.
--
-- @module edeliver.relup.release.renamed

local core = require "edeliver.relup.core"
local release_of = require "edeliver.relup.release"
local rewritten = require "edeliver.relup.release.rewritten"

local renamed = {}

local PLAIN_FILE = 420 -- 0644

-- New versions ---------------------------------------------------------------------------------------------------------

-- What is behind a plus is separated by dots: "1.0.0+b7" becomes "1.0.0+b7.h01234567".
local function with_suffix(version, suffix)
  if version:find("+", 1, true) then suffix = suffix:gsub("^%+", ".") end
  return version .. suffix
end

-- Eight digits of the content of each folder, and of all of them ("").
local function contents(release)
  local folders, lines = { [release.folder] = true }, {}
  for _, application in pairs(release.applications) do
    if application.folder then folders[application.folder] = true end
  end
  local function folder_of(name)
    local folder = name:match "^[^/]+/[^/]+"
    return folders[folder] and folder
  end
  local function add(name, md5)
    local folder = folder_of(name)
    if not folder then return true end
    lines[folder] = lines[folder] or {}
    table.insert(lines[folder], name:sub(#folder + 1) .. " " .. md5)
    return true
  end
  local sums = {}
  local done, message, code = release.source:each {
    enters = function(folder) return folder == "lib" or folder == "releases" or folder_of(folder) end,
    wants = function(name) return folder_of(name) and "sum" end,
    sum = function(name, file)
      sums[name] = file.md5
      return add(name, file.md5)
    end,
    same = function(name, target) return sums[target] ~= nil and add(name, sums[target]) end,
    link = function(name, target) add(name, "-> " .. target) end,
  }
  if not done then return nil, message, code end
  local found, all = {}, {}
  for folder in pairs(folders) do
    table.sort(lines[folder] or {})
    found[folder] = core.md5(table.concat(lines[folder] or {}, "\n")):sub(1, 8)
    all[#all + 1] = folder .. " " .. found[folder]
  end
  table.sort(all)
  found[""] = core.md5(table.concat(all, "\n")):sub(1, 8)
  return found
end

-- The new versions: of applications by name, and of the release.
local function versions(release, names)
  local found, message, code = nil, nil, nil
  local function suffix(wanted, folder)
    if type(wanted) == "string" then return wanted end
    if not found then
      found, message, code = contents(release)
      if not found then return nil end
    end
    return "+h" .. found[folder]
  end
  local new = { applications = {} }
  for name, wanted in pairs(names.applications or {}) do
    local application = release.applications[name]
    if not application or not application.folder then
      return nil, ("%s has no application %s of its own"):format(release.path, name), "missing"
    end
    local added = wanted and suffix(wanted, application.folder)
    if wanted and not added then return nil, message, code end
    if added then new.applications[name] = with_suffix(application.version, added) end
  end
  if names.version then
    local added = suffix(names.version, "")
    if not added then return nil, message, code end
    new.version = with_suffix(release.version, added)
  end
  return new
end

-- Files ----------------------------------------------------------------------------------------------------------------

local view = {}
view.__index = view

-- A name of the release as it was built, as it is called now.
local function to(self, name)
  local folder = name:match "^[^/]+/[^/]+"
  local new = folder and self.folders[folder]
  return new and new .. name:sub(#folder + 1) or name
end

local function from(self, name)
  local folder = name:match "^[^/]+/[^/]+"
  local old = folder and self.before[folder]
  return old and old .. name:sub(#folder + 1) or name
end

local function give(visitor, name, bytes)
  local wanted = visitor.wants(name)
  if not wanted then return true end
  if wanted == "sum" then
    return visitor.sum(name, { size = #bytes, md5 = core.md5(bytes), crc = core.crc32(bytes), mode = PLAIN_FILE })
  end
  if wanted == "beam" or wanted == "digest" then return visitor.digest(name, core.digest(bytes, wanted == "beam")) end
  return visitor.file(name, bytes)
end

-- As `release.source` has it, like the two below.
function view:each(visitor)
  local function mapped(name)
    return visitor[name] and function(path, ...) return visitor[name](to(self, path), ...) end
  end
  local done, message, code = self.inner:each {
    enters = mapped "enters", file = mapped "file", digest = mapped "digest", sum = mapped "sum", link = mapped "link",
    same = visitor.same and function(name, target) return visitor.same(to(self, name), to(self, target)) end,
    wants = function(name)
      name = to(self, name)
      return self.texts[name] == nil and visitor.wants(name) or nil
    end,
  }
  if not done then return nil, message, code end
  for _, name in ipairs(self.names) do
    done, message, code = give(visitor, name, self.texts[name])
    if not done then return nil, message, code end
  end
  return true
end

-- Has the inner source visit what is its own of these names, and gives the others.
local function visit_split(self, names, visit_inner, visit_text)
  local inner = {}
  for name in pairs(names) do
    if self.texts[name] then
      local done, message, code = visit_text(name, self.texts[name])
      if not done then return nil, message, code end
    elseif self.texts[name] == nil then
      inner[from(self, name)] = true
    end
  end
  if next(inner) == nil then return true end
  return visit_inner(inner)
end

function view:read(names, visit)
  return visit_split(self, names, function(inner)
    return self.inner:read(inner, function(name, bytes) return visit(to(self, name), bytes) end)
  end, visit)
end

function view:stream(names, visit)
  return visit_split(self, names, function(inner)
    return self.inner:stream(inner, function(name, read) return visit(to(self, name), read) end)
  end, function(name, bytes)
    local at = 1
    return visit(name, function(size)
      if at > #bytes then return nil end
      at = at + size
      return bytes:sub(at - size, at - 1)
    end)
  end)
end

local function rewrite(self)
  for name, text in pairs(self.release.texts) do
    local change = rewritten.rewriter(self, name)
    if change then
      local changed, message, code = change(self, text)
      if not changed then return nil, ("%s/%s: %s"):format(self.path, name, message), code end
      if changed ~= text then
        self.texts[to(self, name)] = changed
        self.names[#self.names + 1] = to(self, name)
      end
    end
  end
  table.sort(self.names)
  -- A relup that the release brings leads to another version.
  if self.new.version then self.texts[self.folders[self.release.folder] .. "/relup"] = false end
  return true
end

--- A release with other versions. It is read anew; nothing is written.
-- @tparam table release as `edeliver.relup.release` has it; it may be such a view itself
-- @tparam table names `applications`: from names to true, or to what is put behind the version; `version`: the same for the
-- release itself. True is `+h` and eight hexadecimal digits of the content
-- @return[1] a release, with `renamed`: `{ applications = { [name] = new version }, version = new version or nil }`
-- @return[2] nil, message, code
function renamed.of(release, names)
  local new, message, code = versions(release, names)
  if not new then return nil, message, code end
  local self = setmetatable({
    path = release.path, kind = release.kind, inner = release.source, release = release, new = new, folders = {}, before = {},
    texts = {}, names = {}, replacements = rewritten.replacements(release, new),
  }, view)
  for name, version in pairs(new.applications) do
    self.folders[release.applications[name].folder] = ("lib/%s-%s"):format(name, version)
  end
  if new.version then self.folders[release.folder] = "releases/" .. new.version end
  for old, folder in pairs(self.folders) do self.before[folder] = old end
  local done
  done, message, code = rewrite(self)
  if not done then return nil, message, code end
  local made
  made, message, code = release_of.from(self, { version = new.version or release.version })
  if not made then return nil, message, code end
  made.renamed = new
  return made
end

return renamed
