/* core.sync: what was written reaches the disk. */
#ifndef EDR_LUA_SYNC_H
#define EDR_LUA_SYNC_H

#include <lua.h>

/* core.sync(file) */
int edr_lua_sync(lua_State *L);

#endif
