--- What differs between two releases, by content: applications, modules, protocols, files, configuration.
--
-- Two releases in, plain tables of names out. It judges nothing and asks no node.
--
-- @module edeliver.relup.plan.changes

local term = require "edeliver.relup.term"

local changes = {}

local function sorted_keys(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The names of both tables, in order, and what is_same says of those that are in both.
local function compare(old, new, is_same)
  local found = { added = {}, removed = {}, changed = {}, same = {} }
  for _, name in ipairs(sorted_keys(new)) do
    if old[name] == nil then
      table.insert(found.added, name)
    else
      table.insert(is_same(old[name], new[name]) and found.same or found.changed, name)
    end
  end
  for _, name in ipairs(sorted_keys(old)) do
    if new[name] == nil then table.insert(found.removed, name) end
  end
  return found
end

-- What runs on a node has an md5, and then the new release's has been filled in, too: see `with_md5s`.
local function is_same_file(a, b)
  if a.md5 then return a.md5 == b.md5 end
  return a.hash == b.hash and a.size == b.size
end

--- Gives a release's modules and files an md5 each, so that it can be compared with what runs on a node.
-- @return[1] true
-- @return[2] nil, message, code
function changes.with_md5s(release)
  local md5s, message, code = release:md5s(release.modules)
  if not md5s then return nil, message, code end
  for name, md5 in pairs(md5s) do release.modules[name].md5 = md5 end
  return release.source:each {
    wants = function(path) return release.files[path] and "sum" end,
    sum = function(path, sums)
      release.files[path].md5 = sums.md5
      return true
    end,
  }
end

--- Modules: `changed` where the code is another, `touched` where only attributes, lines or other chunks are. The files of those
-- that differ are read.
-- @return[1] `changed`, `added`, `removed`, `touched`: sorted lists of names
-- @return[2] nil, message, code
function changes.modules(old, new)
  local found = compare(old.modules, new.modules, is_same_file)
  if old.is_live then
    return { changed = found.changed, added = found.added, removed = found.removed, touched = {} }
  end
  local before, message, code = old:md5s(found.changed)
  if not before then return nil, message, code end
  local after
  after, message, code = new:md5s(found.changed)
  if not after then return nil, message, code end
  local changed, touched = {}, {}
  for _, name in ipairs(found.changed) do table.insert(before[name] == after[name] and touched or changed, name) end
  return { changed = changed, added = found.added, removed = found.removed, touched = touched }
end

--- Protocols whose consolidated code is another, or that are new.
-- @tparam table modules what changes.modules gave
function changes.protocols(new, modules)
  local names = {}
  for _, kind in ipairs { "changed", "added" } do
    for _, name in ipairs(modules[kind]) do
      if new.protocols[name] then names[#names + 1] = name end
    end
  end
  table.sort(names)
  return names
end

-- The version's folders have other names in each release: files are compared by what follows.
local function relative_files(release)
  local files = {}
  for path, file in pairs(release.files) do
    local application, rest = path:match "^lib/([^/]-)%-[^/]+/(priv/.*)$"
    if application then files[application .. "/" .. rest] = file end
  end
  return files
end

--- Files below the applications' priv folders, as "application/priv/file".
-- @return `changed`, `added`, `removed`: sorted lists of names
function changes.files(old, new)
  local found = compare(relative_files(old), relative_files(new), is_same_file)
  return { changed = found.changed, added = found.added, removed = found.removed }
end

-- Applications that hold a changed, added or removed module, or a priv file of that kind.
local function with_other_content(old, new, modules, files)
  local other = {}
  local function mark(release, names)
    for _, name in ipairs(names) do
      local module = release.modules[name]
      -- A protocol consolidates anew for other reasons than its application's.
      if module.application and not module.consolidated then other[module.application] = true end
    end
  end
  mark(new, modules.changed)
  mark(new, modules.added)
  mark(old, modules.removed)
  for _, kind in ipairs { "changed", "added", "removed" } do
    for _, name in ipairs(files[kind]) do other[name:match "^[^/]+"] = true end
  end
  return other
end

local function change_of(a, b, is_other)
  if not a then return "added" end
  if not b then return "removed" end
  if a.version ~= b.version then return is_other and "changed" or "version_only" end
  return is_other and "changed_under_same_version" or "same"
end

--- Applications, sorted by name: `name`, `from`, `to` (versions; nil where it is not there), `change`: "same", "changed",
-- "version_only" (another version of the same content), "changed_under_same_version", "added", "removed".
function changes.applications(old, new, modules, files)
  local other, all, list = with_other_content(old, new, modules, files), {}, {}
  for name in pairs(old.applications) do all[name] = true end
  for name in pairs(new.applications) do all[name] = true end
  for i, name in ipairs(sorted_keys(all)) do
    local a, b = old.applications[name], new.applications[name]
    list[i] = { name = name, from = a and a.version, to = b and b.version, change = change_of(a, b, other[name]) }
  end
  return list
end

--- How many bytes of disk the new release takes up beside the old one, at least: its version's folder, and the folders of
-- applications that are new or other ones.
-- @tparam table applications what changes.applications gave
function changes.size(new, applications)
  local is_new, sum = {}, 0
  for _, it in ipairs(applications) do
    local application = new.applications[it.name]
    if it.change ~= "same" and application and application.folder then is_new[application.folder] = true end
  end
  for _, files in ipairs { new.beams, new.files } do
    for path, file in pairs(files) do
      if is_new[path:match "^lib/[^/]+"] or path:sub(1, #new.folder + 1) == new.folder .. "/" then sum = sum + file.size end
    end
  end
  return sum
end

-- Configuration -------------------------------------------------------------------------------------------------------

-- The environment in an .app file, where it has the shape of one.
local function environment_of(application)
  local values, env = {}, application.app.env
  for i = 1, env ~= nil and term.kind(env) == "list" and #env or 0 do
    local pair = env[i]
    if term.kind(pair) == "tuple" and #pair == 2 then values[term.format(pair[1])] = pair[2] end
  end
  return values
end

-- What says where the providers are: it differs in each version.
local function is_our_own(application, key) return application == "elixir" and key == "config_provider_init" end

-- "application.key" to value: .app files below, sys.config above.
local function effective(release, other)
  local values = {}
  local function add(application, keys)
    for key, value in pairs(keys) do
      if not is_our_own(application, key) then values[application .. "." .. key] = value end
    end
  end
  for name, application in pairs(release.applications) do
    if other.applications[name] then add(name, environment_of(application)) end
  end
  for name, keys in pairs(release.configuration) do add(name, keys) end
  return values
end

--- Configuration as it is in .app files and sys.config; what providers resolve is not known here.
-- @return `added`, `removed`, `changed`: sorted lists of "application.key"
-- @return the old values, by "application.key"
-- @return the new ones
function changes.configuration(old, new)
  -- A sys.config that relx makes when the node starts.
  if new:own_file "sys.config.src" and not new:own_file "sys.config" then return compare({}, {}, term.equal), {}, {} end
  local before, after = effective(old, new), effective(new, old)
  local found = compare(before, after, term.equal)
  return { added = found.added, removed = found.removed, changed = found.changed }, before, after
end

return changes
