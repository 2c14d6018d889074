/* The options of `connect`, read from a Lua table into those of the core. */
#ifndef EDR_LUA_CONNECT_OPTIONS_H
#define EDR_LUA_CONNECT_OPTIONS_H

#include <lua.h>

#include "node.h"
#include "tls.h"

/* Reads the table at index 1, the only value on the stack; raises where it is not right. `out_tls` is where its table
 * `tls` goes. The strings stay Lua's, on the stack: the options are good for as long as they are there. */
void edr_lua_connect_options(lua_State *L, int64_t default_timeout_ms, edr_node_options *out_options,
                             edr_tls_options *out_tls);

#endif
