/* What every unit of the binding needs: errors as Lua sees them, deadlines, and a box that frees what C owns when Lua
 * raises. Knows no terms and no nodes. */
#ifndef EDR_LUA_SUPPORT_H
#define EDR_LUA_SUPPORT_H

#include <lauxlib.h>
#include <lua.h>

#include "buf.h"
#include "status.h"

/* To be called once, before all others. */
void edr_lua_support_setup(lua_State *L);

/* Returns nil, message, code. */
int edr_lua_refused(lua_State *L, edr_status status, const char *message);

/* The milliseconds at `index`, where math.huge is forever, as a deadline; `fallback_ms` where it is nil or none. Raises
 * for anything else, also for a negative number. */
int64_t edr_lua_check_deadline(lua_State *L, int index, lua_Integer fallback_ms);

/* Pushes a userdata that owns a buffer, and frees it when it is collected; edr_buf_deinit may free it earlier. */
edr_buf *edr_lua_new_buf(lua_State *L);

/* Makes a class of userdata with these methods; `gc`, which has to bear a second call, closes and collects them. */
void edr_lua_new_class(lua_State *L, const char *name, lua_CFunction gc, const luaL_Reg *methods);

/* The userdata on top of the stack is given to `gc` when the C function that called this returns or raises, and again
 * when it is collected. */
void edr_lua_close_by(lua_State *L, lua_CFunction gc);

/* Pushes bytes as hexadecimal digits. */
void edr_lua_push_hex(lua_State *L, const uint8_t *bytes, size_t size);

#endif
