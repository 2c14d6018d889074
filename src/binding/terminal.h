/* The functions of the core that concern the terminal that the program talks to. */
#ifndef EDR_LUA_TERMINAL_H
#define EDR_LUA_TERMINAL_H

#include <lua.h>

int edr_lua_spinner(lua_State *L);
int edr_lua_columns(lua_State *L);

#endif
