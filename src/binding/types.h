/* What terms are made of in Lua: the metatables and constructors that term.lua hands over, the opaque values that are
 * interned by their bytes, and pids and references on their own. Knows no reading and writing of whole terms. */
#ifndef EDR_LUA_TYPES_H
#define EDR_LUA_TYPES_H

#include <lua.h>
#include <stdbool.h>

#include "buf.h"
#include "etf.h"

/* core.set_types(term.types): hands over the metatables of terms. Must have been called before any of the others. */
int edr_lua_set_types(lua_State *L);

/* Where the pieces of term.types stand on the stack while a term is read or written. */
typedef struct edr_lua_types {
  int atom, tuple, list, charlist, map, opaque, atoms, opaques, entries, new_atom, new_opaque;
} edr_lua_types;

/* Pushes those pieces. */
void edr_lua_push_types(lua_State *L, edr_lua_types *out);

/* Pushes the interned opaque value of these canonical bytes. */
void edr_lua_push_opaque(lua_State *L, const edr_lua_types *t, const char *kind, const edr_buf *canonical);

/* Reads the pid or the reference at `index`; false where it is none. */
bool edr_lua_to_pid(lua_State *L, int index, edr_pid *out_pid);
bool edr_lua_to_ref(lua_State *L, int index, edr_ref *out_ref);
void edr_lua_push_pid(lua_State *L, const edr_pid *pid);
void edr_lua_push_ref(lua_State *L, const edr_ref *ref);

#endif
