/* Messages and monitors of a connection, in Lua. */
#ifndef EDR_LUA_MESSAGES_H
#define EDR_LUA_MESSAGES_H

#include <lauxlib.h>

extern const luaL_Reg edr_lua_message_methods[];

#endif
