/* Pid sets in Lua: one userdata over the core's compact array. Knows no connection. */
#ifndef EDR_LUA_PID_SETS_H
#define EDR_LUA_PID_SETS_H

#include <lua.h>

#include "pids.h"

void edr_lua_pids_setup(lua_State *L);

/* Pushes an empty pid set. */
edr_pids *edr_lua_new_pids(lua_State *L);

/* Tells the collector what a set that was just filled takes up outside of Lua, so that dropped sets do not pile up. */
void edr_lua_pids_filled(lua_State *L, const edr_pids *pids);

/* The pid set at `index`, or NULL. */
edr_pids *edr_lua_test_pids(lua_State *L, int index);

/* The pid set at `index`, or one made from a plain list of pids or a single pid, which then replaces it on the stack.
 * Raises for anything else. `index` must be absolute. */
edr_pids *edr_lua_check_pids(lua_State *L, int index);

/* core.pids(list) */
int edr_lua_core_pids(lua_State *L);

#endif
