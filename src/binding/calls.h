/* Calls, acts and casts of a connection, in Lua. */
#ifndef EDR_LUA_CALLS_H
#define EDR_LUA_CALLS_H

#include <lauxlib.h>
#include <lua.h>

extern const luaL_Reg edr_lua_call_methods[];

/* Makes the type of calls. */
void edr_lua_calls_setup(lua_State *L);

#endif
