/* Files told apart by their content, without their bytes becoming Lua's. */
#ifndef EDR_LUA_DIGEST_H
#define EDR_LUA_DIGEST_H

#include <lua.h>

/* core.digest(bytes, is_beam), core.digest_file(path, is_beam) */
int edr_lua_digest(lua_State *L);
int edr_lua_digest_file(lua_State *L);

#endif
