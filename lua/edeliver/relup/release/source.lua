--- A release's files, whether they lie in a folder or in a tarball: names and contents, one after another.
--
-- A tarball is read from its beginning to its end each time, and never unpacked. No file is reached through a link, and a link
-- that leads out of the release is refused. Knows nothing of what the files mean.
--
-- @module edeliver.relup.release.source

local core = require "edeliver.relup.core"

local source = {}
source.__index = source

local BLOCK = 256 * 1024
local MAX_DEPTH = 64

-- What of a file may be read at once, by what is wanted of it.
local MAX_SIZE = { text = 64 << 20, beam = 64 << 20, digest = 1 << 30, sum = 1 << 30, whole = 1 << 30 }

local function read_all(path)
  local file <close>, message, code = core.open_plain(path)
  if not file then return nil, message, code end
  local size = file:seek "end"
  if size > MAX_SIZE.text then return nil, ("%s has %d bytes, more than %d"):format(path, size, MAX_SIZE.text), "limit" end
  file:seek "set"
  local bytes = size == 0 and "" or file:read(size)
  if not bytes or #bytes ~= size then return nil, ("cannot read %s"):format(path), "system" end
  return bytes
end

-- As the core holds links of archives: climbing at the front alone, and no further than the link lies deep.
local function stays_inside(name, target)
  if target == "" or target:sub(1, 1) == "/" then return false end
  local _, depth = name:gsub("/", "")
  local at_front = true
  for part in target:gmatch "[^/]+" do
    if part == ".." then
      depth = depth - 1
      if not at_front or depth < 0 then return false end
    elseif part ~= "." then
      at_front = false
    end
  end
  return true
end

-- Folders -------------------------------------------------------------------------------------------------------------

local walk

local function visit_link(root, name, visitor)
  local target, message, code = core.read_link(root .. "/" .. name)
  if not target then return nil, message, code end
  if not stays_inside(name, target) then
    return nil, ("%s/%s is a link out of the release, to %s. Copy the release with `cp -rL`."):format(root, name, target),
      "refused"
  end
  if visitor.link then visitor.link(name, target) end
  return true
end

-- Takes what core.digest gives.
local function digest_one(visitor, name, prefix, size, hash, last)
  if not size then return nil, prefix .. hash, last end
  return visitor.digest(name, size, hash, last)
end

local function sum_file(path, name, visitor)
  local file <close>, message, code = core.open_plain(path)
  if not file then return nil, message, code end
  local about, md5, crc
  about, message, code = core.file_stat(file)
  if about then md5, message, code = core.file_digest(file, "md5") end
  if md5 then crc, message, code = core.crc32(file) end
  if not crc then return nil, ("%s: %s"):format(path, message), code end
  return visitor.sum(name, { size = about.size, md5 = md5, crc = crc, mode = about.mode })
end

local function visit_file(root, name, visitor)
  local wanted = visitor.wants(name)
  if not wanted then return true end
  if wanted == "sum" then return sum_file(root .. "/" .. name, name, visitor) end
  if wanted ~= "text" then
    local prefix = ("%s/%s: "):format(root, name)
    return digest_one(visitor, name, prefix, core.digest_file(root .. "/" .. name, wanted == "beam"))
  end
  local bytes, message, code = read_all(root .. "/" .. name)
  if not bytes then return nil, message, code end
  return visitor.file(name, bytes)
end

local function visit_one(root, name, kind, visitor, depth)
  if kind == "folder" then return walk(root, name, visitor, depth + 1) end
  if kind == "link" then return visit_link(root, name, visitor) end
  if kind == "other" then return nil, ("%s/%s is no file, folder or link"):format(root, name), "refused" end
  return visit_file(root, name, visitor)
end

function walk(root, folder, visitor, depth)
  local path = folder == "" and root or root .. "/" .. folder
  if depth > MAX_DEPTH then return nil, ("%s lies more than %d folders deep"):format(path, MAX_DEPTH), "limit" end
  if folder ~= "" and visitor.enters and not visitor.enters(folder) then return true end
  local kinds, message, code = core.list_folder(path)
  if not kinds then return nil, message, code end
  local names = {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local done
    done, message, code = visit_one(root, folder == "" and name or folder .. "/" .. name, kinds[name], visitor, depth)
    if not done then return nil, message, code end
  end
  return true
end

-- Tarballs ------------------------------------------------------------------------------------------------------------

local function visit_entry(self, archive, entry, visitor)
  if entry.kind == "link" then
    if visitor.link then visitor.link(entry.name, entry.target) end
    return true
  end
  local is_hard = entry.kind == "hard_link" and visitor.wants(entry.name)
  if is_hard and not (visitor.same and visitor.same(entry.name, entry.target)) then
    return nil, ("%s: %s is a hard link to %s, which is not read. Pack the release without hard links.")
      :format(self.path, entry.name, entry.target), "not_supported"
  end
  local wanted = entry.kind == "file" and visitor.wants(entry.name)
  if not wanted then return true end
  if entry.size > MAX_SIZE[wanted] then
    return nil, ("%s: %s has %d bytes, more than %d"):format(self.path, entry.name, entry.size, MAX_SIZE[wanted]), "limit"
  end
  local bytes, message, code = archive:content()
  if not bytes then return nil, ("%s: %s: %s"):format(self.path, entry.name, message), code end
  if wanted == "sum" then
    return visitor.sum(entry.name, { size = #bytes, md5 = core.md5(bytes), crc = core.crc32(bytes), mode = entry.mode })
  end
  if wanted == "beam" or wanted == "digest" then
    return digest_one(visitor, entry.name, ("%s: %s: "):format(self.path, entry.name), core.digest(bytes, wanted == "beam"))
  end
  return visitor.file(entry.name, bytes)
end

-- Goes through an archive that is open; see `read_archive`.
local function read_entries(self, file, visitor)
  local archive <close> = core.archive(function() return file:read(BLOCK) end)
  local last
  while true do
    local entry, message, code = archive:next()
    if message then
      local where = last and (": after %s"):format(last) or " is no release's folder or tarball"
      return nil, ("%s%s: %s"):format(self.path, where, message), code
    end
    if not entry then return true end
    local done
    done, message, code = visit_entry(self, archive, entry, visitor)
    if not done then return nil, message, code end
    last = entry.name
  end
end

-- A tarball is read from its beginning; one that was checked by its open handle, for its name may be another file's by now.
local function read_archive(self, visitor)
  if self.file then
    self.file:seek "set"
    return read_entries(self, self.file, visitor)
  end
  local file <close>, message, code = core.open_plain(self.path)
  if not file then return nil, message, code end
  return read_entries(self, file, visitor)
end

--- Goes through all files, in the order in which they are found.
-- @tparam table visitor `wants(name)` says what is wanted of a file: "text", "beam", "digest", "sum" or nothing;
-- `file(name, bytes)` gets the first kind, `digest(name, ...)` what core.digest gives of the next two (a "beam" must be a
-- whole .beam file), `sum(name, { size =, md5 =, crc =, mode = })` the last; they return true, or nil, message, code, which
-- ends it. `link(name, target)` is called for links, `same(name, target)` for
-- hard links of a tarball that are wanted: it returns whether it knows the target; `enters(folder)` may keep out of
-- a folder (a tarball has none)
-- @return[1] true
-- @return[2] nil, message with the file's name, code
function source:each(visitor)
  if self.kind == "tarball" then return read_archive(self, visitor) end
  return walk(self.path, "", visitor, 0)
end

--- Reads some files.
-- @tparam table names a set of names
-- @func visit gets name and bytes; returns true, or nil, message, code, which ends it
-- @return[1] true
-- @return[2] nil, message, code
function source:read(names, visit)
  if self.kind == "tarball" then
    return self:each { wants = function(name) return names[name] and "text" end, file = visit }
  end
  local sorted = {}
  for name in pairs(names) do sorted[#sorted + 1] = name end
  table.sort(sorted)
  for _, name in ipairs(sorted) do
    local bytes, message, code = read_all(self.path .. "/" .. name)
    local done
    if bytes then done, message, code = visit(name, bytes) end
    if not done then return nil, message, code end
  end
  return true
end

-- Gives the bytes of a file that is open, a slice a time.
local function stream_file(path, name, visit)
  local file <close>, message, code = core.open_plain(path)
  if not file then return nil, message, code end
  return visit(name, function(size) return file:read(size) end)
end

local function slices_of(bytes)
  local at = 1
  return function(size)
    if at > #bytes then return nil end
    local slice = at == 1 and size >= #bytes and bytes or bytes:sub(at, at + size - 1)
    at = at + size
    return slice
  end
end

--- Reads some files of any size, a slice a time.
-- @tparam table names a set of names
-- @func visit gets a name and a function that gives the next slice of at most so many bytes, or nil at the end; returns true, or
-- nil, message, code, which ends it
-- @return[1] true
-- @return[2] nil, message, code
function source:stream(names, visit)
  if self.kind == "tarball" then
    return self:each {
      wants = function(name) return names[name] and "whole" end,
      file = function(name, bytes) return visit(name, slices_of(bytes)) end,
    }
  end
  local sorted = {}
  for name in pairs(names) do sorted[#sorted + 1] = name end
  table.sort(sorted)
  for _, name in ipairs(sorted) do
    local done, message, code = stream_file(self.path .. "/" .. name, name, visit)
    if not done then return nil, message, code end
  end
  return true
end

--- A folder or a tarball.
-- @string path
-- @return[1] a source with `path` and `kind` ("folder" or "tarball")
-- @return[2] nil, message, code
function source.open(path)
  if path == "" then return nil, "a release's path is empty", "badarg" end
  local plain, message, code = core.open_plain(path)
  if plain then
    plain:close()
    return setmetatable({ path = path, kind = "tarball" }, source)
  end
  if code ~= "not_plain" then return nil, message, code end
  local listed
  listed, message, code = core.list_folder(path)
  if not listed then return nil, message, code end
  if not listed.releases then
    return nil, ("%s is no release: it has no releases/VERSION/NAME.rel"):format(path), "not_a_release"
  end
  return setmetatable({ path = (path:gsub("(.)/+$", "%1")), kind = "folder" }, source)
end

--- A tarball that is open; it is read by this handle alone.
-- @string path what it is called in messages
-- @param file a Lua file, which the source takes over
-- @return a source
function source.of_file(path, file) return setmetatable({ path = path, kind = "tarball", file = file }, source) end

return source
