/* core.file_digest, core.check_signature: what a file is checked with before it is sent. Knows no release. */
#include "signature.h"

#include <stdio.h>

#include <lauxlib.h>

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
