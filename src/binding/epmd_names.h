/* Which nodes an epmd knows. */
#ifndef EDR_LUA_EPMD_NAMES_H
#define EDR_LUA_EPMD_NAMES_H

#include <lua.h>

int edr_lua_epmd_names(lua_State *L);

#endif
