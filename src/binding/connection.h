/* What the units that bind a connection share: node.c (calls, messages), bulk.c (many processes) and output.c (what is
 * printed). */
#ifndef EDR_LUA_CONNECTION_H
#define EDR_LUA_CONNECTION_H

#include <lua.h>

#include "node.h"

enum { EDR_LUA_TIMEOUT_MS = 5000 }; /* where the caller gives none */

/* The node of the connection at index 1; raises where that is none. */
edr_node *edr_lua_check_node(lua_State *L);

/* Pushes nil, message, code of what failed last on this node; 3. */
int edr_lua_node_refused(lua_State *L, edr_node *node, edr_status status);

/* The name of an atom, at `index`; raises where it can be none. */
const char *edr_lua_check_atom(lua_State *L, int index);

/* ---- bulk.c: methods of a connection ---- */

int edr_lua_node_processes(lua_State *L);
int edr_lua_node_owns(lua_State *L);
int edr_lua_node_sys(lua_State *L);
int edr_lua_node_process_info(lua_State *L);
int edr_lua_node_suspended(lua_State *L);

/* ---- output.c: methods of a connection ---- */

int edr_lua_node_keep_output(lua_State *L);
int edr_lua_node_output(lua_State *L);
int edr_lua_node_answer(lua_State *L);
int edr_lua_node_await_output(lua_State *L);

#endif
