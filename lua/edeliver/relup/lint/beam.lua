--- What .beam files say: which functions a module exports, and whether two files hold the same code.
--
-- Reads the chunks that hold code and names (an IFF file, "FOR1" ... "BEAM"), within bounds: a file that is cut short or
-- compressed is told apart from one that is sound. Needs no Erlang.

local core = require "edeliver.relup.core"

local beam = {}

-- Chunks that make the code (Meta from OTP 25 on); the others hold documentation, debug information, line numbers.
local CODE_CHUNKS = { "Atom", "AtU8", "Code", "StrT", "ImpT", "ExpT", "FunT", "LitT", "Meta" }

local function read_bytes(path)
  local handle <close> = core.open_plain(path) -- never a pipe: nobody may write into it
  return handle and handle:read "a"
end

--- The chunks of a .beam file by name, or nil and a message.
function beam.chunks(bytes)
  if #bytes < 12 or bytes:sub(1, 4) ~= "FOR1" or bytes:sub(9, 12) ~= "BEAM" then return nil, "it is no plain .beam file" end
  local stop = math.min(#bytes, 8 + string.unpack(">I4", bytes, 5))
  local chunks, at = {}, 13
  while at + 7 <= stop do
    local size = string.unpack(">I4", bytes, at + 4)
    if at + 7 + size > stop then return nil, "it is cut short" end
    chunks[bytes:sub(at, at + 3)] = bytes:sub(at + 8, at + 7 + size)
    at = at + 8 + size + -size % 4
  end
  return chunks
end

-- Atoms of a module in their order. From OTP 28 on a negative count says that lengths are in the compact form.
local function read_atoms(chunk)
  local count = string.unpack(">i4", chunk)
  local is_compact = count < 0
  local atoms, at = {}, 5
  for i = 1, math.abs(count) do
    local length = chunk:byte(at)
    if is_compact then
      if length & 8 == 0 then
        length = length >> 4
      else
        at = at + 1
        length = (length & 0xE0) << 3 | chunk:byte(at)
      end
    end
    atoms[i] = chunk:sub(at + 1, at + length)
    at = at + 1 + length
  end
  return atoms
end

local function read_exports(chunks)
  local atoms, exports = read_atoms(chunks.AtU8 or chunks.Atom), {}
  local count, at = string.unpack(">I4", chunks.ExpT)
  for _ = 1, count do
    local name, arity
    name, arity, at = string.unpack(">I4I4", chunks.ExpT, at)
    at = at + 4 -- the label
    exports[atoms[name] .. "/" .. arity] = true
  end
  return exports
end

--- The functions that a .beam file exports: a set of "name/arity"; nil and a message where the file cannot be read.
function beam.exports(path)
  local bytes = read_bytes(path)
  if not bytes then return nil, "it cannot be read" end
  local chunks, message = beam.chunks(bytes)
  if not chunks then return nil, message end
  if not chunks.ExpT or not (chunks.AtU8 or chunks.Atom) then return nil, "it has no exports" end
  local done, exports = pcall(read_exports, chunks)
  if not done then return nil, "it is cut short" end
  return exports
end

--- Whether two .beam files hold the same code, whatever else they hold. Files with no chunks are compared as a whole.
function beam.is_same_code(path_a, path_b)
  local a, b = read_bytes(path_a), read_bytes(path_b)
  if a == b then return true end
  local chunks_a, chunks_b = beam.chunks(a or ""), beam.chunks(b or "")
  if not chunks_a or not chunks_b then return false end
  for _, name in ipairs(CODE_CHUNKS) do
    if chunks_a[name] ~= chunks_b[name] then return false end
  end
  return true
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- The modules of ebin folders: a table from module name to path; of modules found twice the first counts, as in Erlang's
-- code path. nil and a message where a folder cannot be listed.
-- @param folders a list of paths
function beam.modules(folders)
  local found = {}
  for _, folder in ipairs(folders) do
    -- Lua cannot list a folder; ls can on every system that runs Erlang nodes.
    local pipe = assert(io.popen("LC_ALL=C ls -1 -- " .. quote(folder:match "^[/.]" and folder or "./" .. folder)
      .. " 2>/dev/null"))
    for name in pipe:lines() do
      local module = name:match "^(.*)%.beam$"
      if module and not found[module] then found[module] = folder .. "/" .. name end
    end
    if not pipe:close() then return nil, ("the folder %s cannot be listed"):format(folder) end
  end
  return found
end

return beam
