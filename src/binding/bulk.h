/* What a connection asks of many processes at once, in Lua. */
#ifndef EDR_LUA_BULK_H
#define EDR_LUA_BULK_H

#include <lauxlib.h>

extern const luaL_Reg edr_lua_bulk_methods[];

#endif
