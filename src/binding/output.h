/* What called functions print, in Lua. */
#ifndef EDR_LUA_OUTPUT_H
#define EDR_LUA_OUTPUT_H

#include <lauxlib.h>

extern const luaL_Reg edr_lua_output_methods[];

#endif
