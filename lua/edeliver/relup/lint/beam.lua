--- What .beam files say: which functions a module exports, and whether two files hold the same code. By the core's reader.

local core = require "edeliver.relup.core"

local beam = {}

local function read_bytes(path)
  local handle <close> = core.open_plain(path) -- never a pipe: nobody may write into it
  return handle and handle:read "a"
end

--- The functions that a .beam file exports: a set of "name/arity"; nil and a message where the file cannot be read.
function beam.exports(path)
  local bytes = read_bytes(path)
  if not bytes then return nil, "it cannot be read" end
  local file <close>, message = core.beam(bytes)
  local list
  if file then list, message = file:exports() end
  if not list then return nil, message end
  local exports = {}
  for _, name in ipairs(list) do exports[name] = true end
  return exports
end

-- nil where it is no .beam file.
local function md5_of(bytes)
  local file <close> = core.beam(bytes or "")
  return file and file:md5()
end

--- Whether two .beam files hold the same code; the rest of them does not count. What is no .beam file is compared as a
-- whole; a file that cannot be read is like no other.
function beam.is_same_code(path_a, path_b)
  local a, b = read_bytes(path_a), read_bytes(path_b)
  if a and a == b then return true end
  local md5 = md5_of(a)
  return md5 ~= nil and md5 == md5_of(b)
end

--- The modules of ebin folders: a table from module name to path; of modules found twice the first counts, as in Erlang's
-- code path. nil and a message where a folder cannot be listed.
-- @param folders a list of paths
function beam.modules(folders)
  local found = {}
  for _, folder in ipairs(folders) do
    local names = core.list_folder(folder)
    if not names then return nil, ("the folder %s cannot be listed"):format(folder) end
    for name in pairs(names) do
      local module = name:match "^(.*)%.beam$"
      if module and not found[module] then found[module] = folder .. "/" .. name end
    end
  end
  return found
end

return beam
