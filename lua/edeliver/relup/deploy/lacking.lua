--- What a node lacks of a release, file by file and by content: what has to be sent, what can be copied from other releases that
-- lie there, and what is in the way.
--
-- Only what belongs to the release counts: its applications' folders and its version's. bin/, COOKIE, start_erl.data and the
-- emulator are the node's own. Asks, and touches nothing.
--
-- @module edeliver.relup.deploy.lacking

local core = require "edeliver.relup.core"
local escape = require "edeliver.relup.base.escape"
local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local lacking = {}

local atom, list, charlist = term.atom, term.list, term.charlist

local TIMEOUT = 300000 -- ms
local MOST = 100000 -- files
local DIGESTS = shape.list(shape.tuple(shape.binary, shape.integer, shape.binary))
local ENTRIES = shape.either(shape.tuple(shape.is(atom "ok"), shape.list(shape.text)),
  shape.tuple(shape.is(atom "error"), shape.any))

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

-- Here -----------------------------------------------------------------------------------------------------------------

-- The folders that make the release up: a table from each to its application's name; false for the version's own.
local function folders_of(release)
  local folders = { [release.folder] = false }
  for _, application in pairs(release.applications) do
    if not application.is_external then folders[application.folder] = application.name end
  end
  return folders
end

local function folder_of(name) return name:match "^[^/]+/[^/]+" end

local function is_plain(name)
  if not utf8.len(name) or name:find "%c" or #name > 4000 then return false end
  for part in (name .. "/"):gmatch "([^/]*)/" do
    if part == "" or part == "." or part == ".." then return false end
  end
  return true
end

-- A link that leaves its application's folder would lead elsewhere once that has another name.
local function stays(name, target)
  local depth = select(2, name:gsub("/", "")) - 2
  for part in target:gmatch "[^/]+" do
    depth = depth + (part == ".." and -1 or part == "." and 0 or 1)
    if depth < 0 then return false end
  end
  return target:sub(1, 1) ~= "/" and is_plain((target:gsub("%.%.?/", "")))
end

--- What the release is made of.
-- @tparam table release as `edeliver.relup.release` has it
-- @return[1] a table from each file's name to `{ name =, size =, md5 =, mode =, of = the name of the same file in a tarball }`
-- @return[1] a table from each link's name to its target
-- @return[2] nil, message, code
function lacking.files(release)
  local folders, files, links, count, wrong = folders_of(release), {}, {}, 0, nil
  local function belongs(name) return folders[folder_of(name) or ""] ~= nil end
  local function add(name, file)
    if not is_plain(name) then
      return nil, ("%s: the name of %s is not sent"):format(release.path, escape.line(name)), "refused"
    end
    count = count + 1
    if count > MOST then return nil, ("%s has more than %d files"):format(release.path, MOST), "limit" end
    file.name, files[name] = name, file
    return true
  end
  local done, message, code = release.source:each {
    enters = function(folder)
      return folder == "lib" or folder == "releases" or belongs(folder)
    end,
    wants = function(name) return belongs(name) and "sum" end,
    sum = add,
    same = function(name, target)
      local file = files[target]
      return file ~= nil and add(name, {
        size = file.size, md5 = file.md5, crc = file.crc, mode = file.mode, of = file.of or target,
      }) == true
    end,
    link = function(name, target)
      if not belongs(name) then return end
      if not is_plain(name) or not stays(name, target) then wrong = wrong or name end
      links[name] = target
    end,
  }
  if not done then return nil, message, code end
  if wrong then
    return nil, ("%s/%s is a link that leads out of its application's folder. Copy the release with `cp -rL`"):format(
      release.path, escape.line(wrong)), "refused"
  end
  return files, links
end

-- There ----------------------------------------------------------------------------------------------------------------

local function names_in(node, path)
  local answer, message, code = shape.expect(node, "file:list_dir", ENTRIES, node:call("file", "list_dir", { charlist(path) }))
  if not answer then return nil, message, code end
  local names = {}
  for i = 1, answer[1] == atom "ok" and #answer[2] or 0 do names[term.text(answer[2][i])] = true end
  return names
end

local function digests(node, root, folders, prefix, into)
  local paths = {}
  for i, folder in ipairs(folders) do paths[i] = charlist(folder) end
  if #paths == 0 then return true end
  local answers, message, code = shape.expect(node, "what lies there", DIGESTS,
    node:run("file_digests", { Root = charlist(root), Folders = list(paths) }, TIMEOUT))
  if not answers then return nil, message, code end
  for _, answer in ipairs(answers) do into[prefix .. answer[1]] = { size = answer[2], md5 = hex(answer[3]) } end
  return true
end

--- Where things are on a node.
-- @return[1] `root`, `lib`, `releases` (paths), `running` (a version)
-- @return[2] nil, message, code
function lacking.places(node)
  local root, message, code = release_folder.root(node)
  local releases, running
  if root then releases, message, code = release_folder.path(node) end
  if releases then running, message, code = release_handler.current(node) end
  if not running then return nil, message, code end
  return { root = root, lib = root .. "/lib", releases = releases, running = running.version }
end

-- What lies there of the release's folders, and of those of the same applications in other versions.
local function look(node, release, where)
  local libraries, message, code = names_in(node, where.lib)
  local versions
  if libraries then versions, message, code = names_in(node, where.releases) end
  if not versions then return nil, message, code end
  local chosen, others, found = {}, {}, {}
  for _, application in pairs(release.applications) do
    local prefix = application.name .. "-"
    for name in pairs(libraries) do
      if name:sub(1, #prefix) == prefix and name:find("^%d", #prefix + 1) then
        chosen[#chosen + 1] = "lib/" .. name
        -- The one whose files are taken as a pattern for rights.
        others[application.name] = math.max(others[application.name] or "", "lib/" .. name)
      end
    end
  end
  table.sort(chosen)
  local own = {}
  for _, version in ipairs { release.version, where.running } do
    if versions[version] and own[1] ~= version then own[#own + 1] = version end
  end
  local done
  done, message, code = digests(node, where.root, chosen, "", found)
  if done then done, message, code = digests(node, where.releases, own, "releases/", found) end
  if not done then return nil, message, code end
  return found, others, versions[release.version] or false
end

-- Comparing ------------------------------------------------------------------------------------------------------------

local function has_any(found, folder)
  local prefix = folder .. "/"
  for name in pairs(found) do
    if name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

-- What differs by release_handler: its relup is written when the release is registered, and unpack_release deletes the .rel file
-- of a release as mix packs it.
local function is_its_own(name, found, folder)
  if name == folder .. "/relup" then return true end
  return name:find "^releases/[^/]+/[^/]+%.rel$" and not found[name] and has_any(found, folder)
end

-- The files of one of the release's folders that are there with another content or not at all.
local function differing(files, found, folder)
  local names, prefix = {}, folder .. "/"
  for name, file in pairs(files) do
    if name:sub(1, #prefix) == prefix and not is_its_own(name, found, folder) then
      local there = found[name]
      if not there or there.md5 ~= file.md5 or there.size ~= file.size then names[#names + 1] = name end
    end
  end
  table.sort(names)
  return names
end

-- What has to come: all of a folder that is not there. What the node has elsewhere with that content is copied.
local function add_folder(self, folder, files, found, by_md5, like)
  local names = differing(files, {}, folder)
  if files[folder .. "/relup"] then names[#names + 1] = folder .. "/relup" end
  for _, name in ipairs(names) do
    local file = files[name]
    local entry = {
      name = name, size = file.size, md5 = file.md5, crc = file.crc, mode = file.mode, of = file.of,
      copy = by_md5[file.md5 .. file.size],
      like = like and found[like .. name:sub(#folder + 1)] and like .. name:sub(#folder + 1) or nil,
    }
    self.needed[#self.needed + 1] = entry
    self.bytes, self.copied = self.bytes + (entry.copy and 0 or entry.size), self.copied + (entry.copy and entry.size or 0)
  end
  self.folders[#self.folders + 1] = { name = folder, like = like }
end

local function stale(node, release, names)
  return nil, ("%s/%s lies on %s already, with other content: %s%s. `remove %s` takes it away, and --version-suffix gives this "
    .. "release another version"):format("releases", release.version, node.name, names[1],
    #names > 1 and (" and %d more"):format(#names - 1) or "", release.version), "stale"
end

local function judge(node, release, self, folder, application, context)
  local names = differing(context.files, context.found, folder)
  if not has_any(context.found, folder) then
    local like = application == false and "releases/" .. self.where.running or context.others[application]
    add_folder(self, folder, context.files, context.found, context.by_md5, like)
  elseif application == false and next(self.rename) then
    return true -- what names its applications will be another: it is compared again then
  elseif application == false then
    if #names > 0 and release.version == self.where.running then
      return nil, ("%s runs %s already, with other content. --version-suffix gives this release another version"):format(
        node.name, release.version), "same_version"
    elseif #names > 0 then
      return stale(node, release, names)
    end
    self.has_version = true
  elseif #names > 0 then
    self.rename[application] = true
  end
  return true
end

-- What tells these files from others: an upload that was cut off goes on only where it is the same.
local function identity_of(needed)
  local lines = {}
  for i, file in ipairs(needed) do lines[i] = ("%s %d %s"):format(file.name, file.size, file.md5) end
  return core.md5(table.concat(lines, "\n")):sub(1, 16)
end

--- Compares.
-- @param node
-- @tparam table release
-- @return[1] `files` and `bytes` to be sent, `copied` (bytes), `have` (files that the node has), `has_version`, `rename` (a set
-- of applications that lie there under the same version with other content); and what `deploy.sending` needs: `where`, `needed`,
-- `links`, `folders`, `identity`
-- @return[2] nil, message, code: "stale", "same_version", …
function lacking.compare(node, release)
  local files, links, code = lacking.files(release)
  if not files then return nil, links, code end
  local where, message
  where, message, code = lacking.places(node)
  if not where then return nil, message, code end
  local found, others
  found, others, code = look(node, release, where)
  if not found then return nil, others, code end
  local by_md5 = {}
  for name, file in pairs(found) do by_md5[file.md5 .. file.size] = name end
  local self = {
    release = release, where = where, needed = {}, folders = {}, links = {}, rename = {}, bytes = 0, copied = 0, have = 0,
    has_version = false,
  }
  local names = {}
  for folder in pairs(folders_of(release)) do names[#names + 1] = folder end
  table.sort(names) -- lib/ before releases/: a version's folder has its name last
  local folders = folders_of(release)
  for _, folder in ipairs(names) do
    local fine
    fine, message, code = judge(node, release, self, folder, folders[folder],
      { files = files, found = found, by_md5 = by_md5, others = others })
    if not fine then return nil, message, code end
  end
  local total = 0
  for _ in pairs(files) do total = total + 1 end
  self.files = 0
  for _, file in ipairs(self.needed) do self.files = self.files + (file.copy and 0 or 1) end
  self.have = total - self.files
  local comes = {}
  for _, folder in ipairs(self.folders) do comes[folder.name] = true end
  for name, target in pairs(links) do
    if comes[folder_of(name)] then self.links[name] = target end
  end
  self.identity = identity_of(self.needed)
  return self
end

return lacking
