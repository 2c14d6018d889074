/* What terms are made of in Lua; the contract is in types.h. What a term is in Lua is said by term.lua. */
#include "types.h"

#include <lauxlib.h>
#include <string.h>

#include "control.h"
#include "support.h"

static const char types_key; /* its address is where the registry keeps term.edr_lua_types */

/* Where the pieces are in the table that the registry keeps. */
enum { ATOM = 1, TUPLE, LIST, CHARLIST, MAP, OPAQUE, ATOMS, OPAQUES, ENTRIES, NEW_ATOM, NEW_OPAQUE, TYPES_END };

static const char *const type_names[TYPES_END] = {[ATOM] = "atom",
                                                  [TUPLE] = "tuple",
                                                  [LIST] = "list",
                                                  [CHARLIST] = "charlist",
                                                  [MAP] = "map",
                                                  [OPAQUE] = "opaque",
                                                  [ATOMS] = "atoms",
                                                  [OPAQUES] = "opaques",
                                                  [ENTRIES] = "entries",
                                                  [NEW_ATOM] = "new_atom",
                                                  [NEW_OPAQUE] = "new_opaque"};

/*** Tells which tables, metatables and constructors terms are made with.
@function set_types
@tparam table types `term.types`
*/
int edr_lua_set_types(lua_State *L) {
  int i;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_createtable(L, TYPES_END - 1, 0);
  for (i = 1; i < TYPES_END; i++) {
    if (lua_getfield(L, 1, type_names[i]) == LUA_TNIL) luaL_error(L, "term.types lacks %s", type_names[i]);
    lua_rawseti(L, -2, i);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &types_key);
  return 0;
}

void edr_lua_push_types(lua_State *L, edr_lua_types *out) {
  int at, i;
  luaL_checkstack(L, TYPES_END + 8, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &types_key) != LUA_TTABLE) luaL_error(L, "core.set_types was not called");
  at = lua_gettop(L);
  for (i = 1; i < TYPES_END; i++) lua_rawgeti(L, at, i);
  *out = (edr_lua_types){.atom = at + ATOM,
                         .tuple = at + TUPLE,
                         .list = at + LIST,
                         .charlist = at + CHARLIST,
                         .map = at + MAP,
                         .opaque = at + OPAQUE,
                         .atoms = at + ATOMS,
                         .opaques = at + OPAQUES,
                         .entries = at + ENTRIES,
                         .new_atom = at + NEW_ATOM,
                         .new_opaque = at + NEW_OPAQUE};
}

/* The interned opaque value of these canonical bytes. */
void edr_lua_push_opaque(lua_State *L, const edr_lua_types *t, const char *kind, const edr_buf *canonical) {
  lua_pushlstring(L, (const char *)canonical->data, canonical->size);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, t->opaques) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushvalue(L, t->new_opaque);
    lua_pushstring(L, kind);
    lua_rotate(L, -3, -1); /* function, kind, bytes */
    lua_call(L, 2, 1);
  } else {
    lua_remove(L, -2);
  }
}

/* ---- pids and references on their own ---- */

/* The bytes of an opaque value of that kind; NULL where the value is another. They belong to the value. The stack is
 * left to the caller to clear. */
static const uint8_t *opaque_bytes(lua_State *L, int index, const char *kind, size_t *out_size) {
  const char *etf = NULL;
  const char *its_kind;
  index = lua_absindex(L, index);
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &types_key) == LUA_TTABLE && lua_rawgeti(L, -1, OPAQUE) == LUA_TTABLE &&
      lua_rawequal(L, -1, -3)) {
    lua_getfield(L, index, "kind");
    its_kind = lua_tostring(L, -1);
    if (its_kind != NULL && strcmp(its_kind, kind) == 0) {
      lua_getfield(L, index, "etf");
      etf = lua_tolstring(L, -1, out_size);
    }
  }
  return (const uint8_t *)etf;
}

bool edr_lua_to_pid(lua_State *L, int index, edr_pid *out_pid) {
  const int top = lua_gettop(L);
  size_t size = 0;
  const uint8_t *bytes = opaque_bytes(L, index, "pid", &size);
  const bool is = bytes != NULL && edr_slice_pid((edr_slice){bytes, size}, out_pid) == EDR_OK;
  lua_settop(L, top);
  return is;
}

bool edr_lua_to_ref(lua_State *L, int index, edr_ref *out_ref) {
  const int top = lua_gettop(L);
  size_t size = 0;
  const uint8_t *bytes = opaque_bytes(L, index, "ref", &size);
  const bool is = bytes != NULL && edr_slice_ref((edr_slice){bytes, size}, out_ref) == EDR_OK;
  lua_settop(L, top);
  return is;
}

static void push_built(lua_State *L, const char *kind, edr_buf *canonical) {
  const int top = lua_gettop(L);
  edr_lua_types t;
  if (canonical->failed) luaL_error(L, "not enough memory");
  edr_lua_push_types(L, &t);
  edr_lua_push_opaque(L, &t, kind, canonical);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void edr_lua_push_pid(lua_State *L, const edr_pid *pid) {
  edr_buf *buf = edr_lua_new_buf(L);
  edr_etf_put_pid(buf, pid);
  push_built(L, "pid", buf);
  edr_buf_deinit(buf);
  lua_remove(L, -2);
}

void edr_lua_push_ref(lua_State *L, const edr_ref *ref) {
  edr_buf *buf = edr_lua_new_buf(L);
  edr_etf_put_ref(buf, ref);
  push_built(L, "ref", buf);
  edr_buf_deinit(buf);
  lua_remove(L, -2);
}
