/* core.file_digest, core.check_signature: what a file is checked with before it is sent. Knows no release. */
#include "signature.h"

#include <stdio.h>

#include <lauxlib.h>
#include <zlib.h>

#include "file_check.h"
#include "support.h"

static int descriptor(lua_State *L) {
  const luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  if (stream->closef == NULL) luaL_argerror(L, 1, "the file is closed");
  return fileno(stream->f);
}

/*** The digest of all that a file holds; where it stands does not matter, and stays.
@function file_digest
@param file an open Lua file
@string name "md5", "sha256"
@treturn string hexadecimal digits; or nil, message and "badarg" (no such digest), "system"
*/
int edr_lua_file_digest(lua_State *L) {
  uint8_t digest[EDR_DIGEST_MAX];
  char hex[2 * EDR_DIGEST_MAX + 1];
  edr_error error = {EDR_OK, 0, ""};
  size_t size = 0, i;
  const int fd = descriptor(L);
  edr_status status = edr_digest_file(fd, luaL_checkstring(L, 2), digest, &size, &error);
  if (status != EDR_OK) return edr_lua_refused(L, status, error.text);
  for (i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  lua_pushlstring(L, hex, 2 * size);
  return 1;
}

/*** The CRC-32 of all that a file holds, or of a string's bytes, as `erlang:crc32` counts it.
@function crc32
@param what an open Lua file, or a string
@treturn integer; or nil, message and "system"
*/
int edr_lua_crc32(lua_State *L) {
  edr_error error = {EDR_OK, 0, ""};
  uint32_t crc = 0;
  edr_status status = EDR_OK;
  if (lua_type(L, 1) == LUA_TSTRING) {
    size_t size;
    const char *bytes = lua_tolstring(L, 1, &size);
    crc = (uint32_t)crc32_z(crc32_z(0, NULL, 0), (const Bytef *)bytes, size);
  } else {
    status = edr_crc32_file(descriptor(L), &crc, &error);
  }
  if (status != EDR_OK) return edr_lua_refused(L, status, error.text);
  lua_pushinteger(L, (lua_Integer)crc);
  return 1;
}

/*** Whether a signature is that of all that a file holds: an Ed25519 one, as `openssl pkeyutl -sign -rawin` makes it.
@function check_signature
@param file an open Lua file
@string pem an Ed25519 public key
@string signature 64 bytes
@return true; or nil, message and "badarg" (no such key), "auth" (the signature is not that of this file), "nomem",
"system"
*/
int edr_lua_check_signature(lua_State *L) {
  size_t pem_size, size;
  edr_error error = {EDR_OK, 0, ""};
  const int fd = descriptor(L);
  const char *pem = luaL_checklstring(L, 2, &pem_size);
  const char *signature = luaL_checklstring(L, 3, &size);
  edr_status status = edr_signature_check_file(fd, pem, pem_size, (const uint8_t *)signature, size, &error);
  if (status != EDR_OK) return edr_lua_refused(L, status, error.text);
  lua_pushboolean(L, 1);
  return 1;
}
