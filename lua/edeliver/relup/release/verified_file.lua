--- A tarball that is checked before anything of it is sent: by the digest beside it, where there is one, and by a signature.
--
-- `FILE.sha256` is what `sha256sum FILE` prints. `FILE.sig` is an Ed25519 signature as OpenSSL makes it
-- (`openssl pkeyutl -sign -rawin -inkey private.pem -in FILE -out FILE.sig`). Asks no node.
--
-- @module edeliver.relup.release.verified_file

local core = require "edeliver.relup.core"

local verified_file = {}

local COPIED = 1 << 20 -- bytes at once

-- All of a small file that lies beside another; false where there is none.
local function read_beside(path)
  local file <close>, message, code = core.open_plain(path)
  if not file then
    if code == "missing" then return false end
    return nil, message, code
  end
  return file:read(COPIED) or ""
end

-- The digest for a file of that name, as sha256sum writes it (plain, or with --tag), or alone.
local function digest_in(text, name)
  for line in text:gmatch "[^\r\n]+" do
    local digest, of = line:match "^\\?(%x+) [ *](.*)$"
    if not digest then of, digest = line:match "^SHA256 %((.*)%) = (%x+)$" end
    if not digest then digest, of = line:match "^(%x+)%s*$", name end
    if digest and #digest == 64 and of:match "[^/]*$" == name then return digest:lower() end
  end
end

-- "sha256" where it was checked, false where there is nothing to check it with.
local function check_digest(file, path)
  local sidecar = path .. ".sha256"
  local text, message, code = read_beside(sidecar)
  if not text then return text, message, code end
  local expected = digest_in(text, path:match "[^/]*$")
  if not expected then return nil, ("%s has no SHA-256 digest of %s"):format(sidecar, path), "checksum" end
  local found
  found, message, code = core.file_digest(file, "sha256")
  if not found then return nil, message, code end
  if found == expected then return "sha256" end
  return nil, ("%s is not the file that %s is about: its SHA-256 is %s. Nothing was sent"):format(path, sidecar, found),
    "checksum"
end

-- The key: a file that others cannot exchange.
local function read_key(path)
  local file <close>, message, code = core.open_plain(path)
  if not file then return nil, message, code end
  local about = core.file_stat(file)
  if not about or not about.trusted then
    return nil, ("the key %s is another user's, or others can write it: use a key that only you or root can change"):format(path),
      "not_private"
  end
  return file:read(COPIED) or ""
end

local function check_signature(file, path, key_path)
  local key, message, code = read_key(key_path)
  if not key then return nil, message, code end
  local signature
  signature, message, code = read_beside(path .. ".sig")
  if signature == false then
    return nil, ("%s has no signature: %s.sig is missing. Nothing was sent"):format(path, path), "signature"
  end
  if not signature then return nil, message, code end
  local fits
  fits, message, code = core.check_signature(file, key, signature)
  if fits then return true end
  if code == "badarg" then return nil, ("the key %s cannot be used: %s"):format(key_path, message), "badarg" end
  if code ~= "auth" then return nil, ("%s cannot be checked: %s"):format(path, message), code end
  return nil, ("%s.sig is not the signature of %s by %s. Nothing was sent"):format(path, path, key_path), "signature"
end

-- A copy that nobody else can change any more: it has no name.
local function copy(file)
  local own, message, code = io.tmpfile()
  if not own then return nil, "no copy can be made: " .. message, "system" end
  for bytes in function() return file:read(COPIED) end do
    local written, problem = own:write(bytes)
    if not written then
      own:close()
      return nil, "no copy can be made: " .. problem, "system"
    end
  end
  own:flush()
  own:seek "set"
  return own, message, code
end

--- Opens a file and checks it. What is read from then on is what was checked: with a key, that is a copy of our own.
-- @string path
-- @tparam[opt] string key_path file with an Ed25519 public key (PEM); the file must then be signed by its owner
-- @return[1] an open Lua file, at its beginning, to be closed
-- @treturn[1] table what was checked, in the order: "sha256", "signature"
-- @return[2] nil, message, code: "checksum", "signature", "badarg" (no such key), "missing", "not_plain", "not_private", "system"
function verified_file.open(path, key_path)
  local file, message, code = core.open_plain(path)
  if not file then return nil, message, code end
  if key_path then
    local original <close> = file
    file, message, code = copy(original)
    if not file then return nil, message, code end
  end
  local checked = {}
  local digest, fits
  digest, message, code = check_digest(file, path)
  if digest then checked[1] = digest end
  if digest ~= nil and key_path then
    fits, message, code = check_signature(file, path, key_path)
    if fits then checked[#checked + 1] = "signature" end
  end
  if digest ~= nil and (fits or not key_path) then return file, checked end
  file:close()
  return nil, message, code
end

return verified_file
