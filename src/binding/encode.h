/* Lua values as terms in the external format. Knows nothing of nodes. */
#ifndef EDR_LUA_ENCODE_H
#define EDR_LUA_ENCODE_H

#include <lua.h>

#include "buf.h"

/* Appends the value at `index` as one term. Raises where it is no term. `buf` must be boxed. */
void edr_lua_encode(lua_State *L, int index, edr_buf *buf);

/* core.encode(term) -> bytes with the version byte. */
int edr_lua_core_encode(lua_State *L);

#endif
