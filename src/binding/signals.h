/* Signals while something is suspended, in Lua. */
#ifndef EDR_LUA_SIGNALS_H
#define EDR_LUA_SIGNALS_H

#include <lua.h>

/* core.catch_signals(), core.block_signals(), core.let_signals_through(), core.take_signal(), core.release_signals() */
int edr_lua_catch_signals(lua_State *L);
int edr_lua_block_signals(lua_State *L);
int edr_lua_let_signals_through(lua_State *L);
int edr_lua_take_signal(lua_State *L);
int edr_lua_release_signals(lua_State *L);

/* core.without_yield(f, ...) */
int edr_lua_without_yield(lua_State *L);

#endif
