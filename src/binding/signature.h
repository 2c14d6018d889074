/* What a file is checked with before it is sent. */
#ifndef EDR_LUA_SIGNATURE_H
#define EDR_LUA_SIGNATURE_H

#include <lua.h>

/* core.file_digest(file, name), core.crc32(what), core.check_signature(file, pem, signature) */
int edr_lua_file_digest(lua_State *L);
int edr_lua_crc32(lua_State *L);
int edr_lua_check_signature(lua_State *L);

#endif
