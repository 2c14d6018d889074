--- The texts and terms of a release that name versions, with other versions: .app, .rel, boot scripts, sys.config.
--
-- Knows which files these are, and nothing of where they come from.
--
-- @module edeliver.relup.release.rewritten

local consult = require "edeliver.relup.consult"
local core = require "edeliver.relup.core"
local term = require "edeliver.relup.term"

local rewritten = {}

-- Terms ----------------------------------------------------------------------------------------------------------------

local function escaped(text) return (text:gsub("%p", "%%%0")) end

--- What is replaced in paths, part for part.
-- @tparam table release
-- @tparam table new `applications` (new versions by name), `version` (or nil)
-- @return a list for the field `replacements`
function rewritten.replacements(release, new)
  local list = {}
  for name, version in pairs(new.applications) do
    local part = ("/%s-%s/"):format(name, version):gsub("%%", "%%%%")
    list[#list + 1] = { escaped(("/%s-%s/"):format(name, release.applications[name].version)), part }
  end
  if new.version then
    local part = ("/releases/%s/"):format(new.version):gsub("%%", "%%%%")
    list[#list + 1] = { escaped(("/releases/%s/"):format(release.version)), part }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local function in_path(self, text)
  if not text:find("/", 1, true) then return text end
  local padded = "/" .. text .. "/"
  for _, pair in ipairs(self.replacements) do padded = padded:gsub(pair[1], pair[2]) end
  return padded:sub(2, -2)
end

local walk

local function walk_all(self, items)
  local mapped = {}
  for i = 1, #items do mapped[i] = walk(self, items[i]) end
  return mapped
end

local BY_KIND = {
  binary = in_path,
  charlist = function(self, value) return term.charlist(in_path(self, value.text)) end,
  tuple = function(self, value) return term.tuple(walk_all(self, value)) end,
  list = function(self, value)
    local tail = getmetatable(value) and rawget(value, "tail")
    return term.list(walk_all(self, value), tail ~= nil and walk(self, tail) or nil)
  end,
  map = function(self, value)
    local entries = {}
    for key, item in pairs(value) do
      entries[#entries + 1] = walk(self, key)
      entries[#entries + 1] = walk(self, item)
    end
    return term.map(entries)
  end,
}

local function is_tuple(value, size, name)
  return term.kind(value) == "tuple" and #value == size and value[1] == term.atom(name)
end

-- `{application, Name, Keys}` of one whose version is another now.
local function application(self, value)
  local version = self.new.applications[term.text(value[2])]
  local keys = {}
  for i = 1, #value[3] do
    local key = value[3][i]
    keys[i] = version and is_tuple(key, 2, "vsn") and term.tuple { key[1], term.charlist(version) } or walk(self, key)
  end
  return term.tuple { value[1], value[2], term.list(keys) }
end

function walk(self, value)
  if is_tuple(value, 3, "application") and term.kind(value[2]) == "atom" and term.kind(value[3]) == "list" then
    return application(self, value)
  end
  local map = BY_KIND[term.kind(value)]
  return map and map(self, value) or value
end

local function boot(self, value)
  if not is_tuple(value, 3, "script") then return value end
  local about, new = value[2], self.new.version
  if new and term.kind(about) == "tuple" and #about == 2 and term.text(about[2]) == self.release.version then
    about = term.tuple { about[1], term.charlist(new) }
  end
  return term.tuple { value[1], about, walk(self, value[3]) }
end

local function rel(self, value)
  if not is_tuple(value, 4, "release") or term.text(value[2][2]) ~= self.release.version then return value end
  local libraries = {}
  for i = 1, #value[4] do
    local library = value[4][i]
    local version, changed = self.new.applications[term.text(library[1])], {}
    for j = 1, #library do changed[j] = j == 2 and version and term.charlist(version) or library[j] end
    libraries[i] = term.tuple(changed)
  end
  local name = term.tuple { value[2][1], term.charlist(self.new.version or self.release.version) }
  return term.tuple { value[1], name, value[3], term.list(libraries) }
end

-- Files ----------------------------------------------------------------------------------------------------------------

-- A file of one term, with the comments that it begins with: bin/NAME of mix looks for one in sys.config.
local function in_text(change)
  return function(self, text)
    local terms, message, code = consult.parse(text)
    if not terms then return nil, message, code end
    local changed = terms[1] ~= nil and change(self, terms[1])
    if #terms ~= 1 or term.equal(changed, terms[1]) then return text end
    local header, rest = "", text
    while rest:find "^[ \t]*%%[^\n]*\n" do
      header = header .. rest:match "^[^\n]*\n"
      rest = rest:gsub("^[^\n]*\n", "", 1)
    end
    local body = consult.write({ changed }, "")
    if body:find "[\128-\255]" and not header:find "coding" then header = "%% coding: utf-8\n" .. header end
    return header .. body
  end
end

local function in_boot(self, bytes)
  local value, message, code = core.decode(bytes)
  if value == nil then return nil, message, code end
  local changed = boot(self, value)
  return term.equal(changed, value) and bytes or core.encode(changed)
end

--- How a file is rewritten.
-- @tparam table self `release`, `new`, `replacements`
-- @string name of the file, as the release was built
-- @return a function of self and the file's bytes, which gives others, or nil, message, code; nil where the file stays as it is
function rewritten.rewriter(self, name)
  local folder = self.release.folder
  local in_folder = name:sub(1, #folder + 1) == folder .. "/"
  if name:find "%.rel$" and (in_folder or name:find "^releases/[^/]+$") then return in_text(rel) end
  if name:find "^lib/[^/]+/ebin/[^/]+%.app$" then
    local of = name:match "([^/]+)%.app$"
    local about = self.release.applications[of]
    return self.new.applications[of] and name:sub(1, #about.folder + 1) == about.folder .. "/" and in_text(walk) or nil
  end
  if not in_folder then return nil end
  if name:find "%.boot$" then return in_boot end
  if name:find "%.script$" then return in_text(boot) end
  return name == folder .. "/sys.config" and in_text(walk) or nil
end

return rewritten
