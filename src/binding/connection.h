/* A connection to a node, in Lua: opened and closed, served and polled. What can be asked of it is added by the units
 * above: calls, messages, bulk, output. lua/edeliver/relup/node/init.lua is its only user. */
#ifndef EDR_LUA_CONNECTION_H
#define EDR_LUA_CONNECTION_H

#include <lauxlib.h>
#include <lua.h>

#include "node.h"

enum { EDR_LUA_TIMEOUT_MS = 5000 }; /* where the caller gives none */

/* Makes the type; `methods` are `count` lists of methods beside its own. */
void edr_lua_connection_setup(lua_State *L, const luaL_Reg *const *methods, size_t count);

/* core.connect(options) */
int edr_lua_core_connect(lua_State *L);

/* The node of the connection at index 1; raises where that is none. */
edr_node *edr_lua_check_node(lua_State *L);

/* Pushes nil, message, code of what failed last on this node; 3. */
int edr_lua_node_refused(lua_State *L, edr_node *node, edr_status status);

/* Pushes true, or nil, message, code where `status` is none of success; how many. */
int edr_lua_node_done(lua_State *L, edr_node *node, edr_status status);

/* The name of an atom, at `index`; raises where it can be none. */
const char *edr_lua_check_atom(lua_State *L, int index);

#endif
