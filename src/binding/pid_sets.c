/* Pid sets in Lua; the contract is in pid_sets.h. `#set`, `set[i]`, and the methods below. */
#include "pid_sets.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "pid_index.h"
#include "support.h"
#include "types.h"

#define EDR_LUA_PIDS "edeliver.relup.pids"

static int pids_gc(lua_State *L) {
  edr_pids_deinit(luaL_checkudata(L, 1, EDR_LUA_PIDS));
  return 0;
}

edr_pids *edr_lua_new_pids(lua_State *L) {
  edr_pids *pids = lua_newuserdatauv(L, sizeof *pids, 0);
  edr_pids_init(pids);
  luaL_setmetatable(L, EDR_LUA_PIDS);
  return pids;
}

void edr_lua_pids_filled(lua_State *L, const edr_pids *pids) {
  const size_t kilobytes = pids->capacity * sizeof *pids->entries / 1024;
  if (kilobytes >= 16) lua_gc(L, LUA_GCSTEP, kilobytes > 1 << 20 ? 1 << 20 : (int)kilobytes);
}

edr_pids *edr_lua_test_pids(lua_State *L, int index) {
  return luaL_testudata(L, index, EDR_LUA_PIDS);
}

static void must(lua_State *L, edr_status status) {
  if (status == EDR_ELIMIT) luaL_error(L, "these are pids of more than %d nodes", EDR_PIDS_MAX_NODES);
  if (status != EDR_OK) luaL_error(L, "%s", edr_status_text(status));
}

static void add_value(lua_State *L, int index, edr_pids *pids, int argument) {
  edr_pid pid;
  if (!edr_lua_to_pid(L, index, &pid)) luaL_argerror(L, argument, "pids expected: a pid set, a list of pids, or a pid");
  must(L, edr_pids_add(pids, &pid));
}

edr_pids *edr_lua_check_pids(lua_State *L, int index) {
  edr_pids *pids = edr_lua_test_pids(L, index);
  edr_pid single;
  lua_Integer i, count;
  if (pids != NULL) return pids;
  if (!lua_istable(L, index)) luaL_argerror(L, index, "pids expected: a pid set, a list of pids, or a pid");
  pids = edr_lua_new_pids(L);
  if (edr_lua_to_pid(L, index, &single)) {
    must(L, edr_pids_add(pids, &single));
  } else {
    count = luaL_len(L, index);
    must(L, edr_pids_reserve(pids, (size_t)count));
    for (i = 1; i <= count; i++) {
      lua_geti(L, index, i);
      add_value(L, -1, pids, index);
      lua_pop(L, 1);
    }
  }
  lua_replace(L, index);
  return pids;
}

/* What `term_to_binary(Pids)` made on a node: no pid becomes a Lua value of its own on the way. */
static int read_pids(lua_State *L) {
  size_t size;
  const uint8_t *bytes = (const uint8_t *)lua_tolstring(L, 1, &size);
  edr_pids *made = edr_lua_new_pids(L);
  edr_etf_reader reader;
  edr_status status;

  edr_etf_reader_init(&reader, bytes, size, NULL);
  status = edr_etf_read_version(&reader);
  if (status == EDR_OK) status = edr_pids_read_list(made, &reader);
  if (status == EDR_OK && !edr_etf_reader_at_end(&reader)) status = EDR_EPROTOCOL;
  edr_etf_reader_deinit(&reader);
  if (status == EDR_ELIMIT) return edr_lua_refused(L, status, "too many pids, or pids of too many nodes, for one set");
  if (status != EDR_OK) return edr_lua_refused(L, status, "these bytes are not the external term of a list of pids");
  edr_lua_pids_filled(L, made);
  return 1;
}

/*** A pid set of the given pids, in their order.
@function pids
@param list a list of pids, a single pid, a pid set, which is copied, or the bytes of `term_to_binary(Pids)`
@return a pid set; or nil, message, code where bytes are not a list of pids
*/
int edr_lua_core_pids(lua_State *L) {
  edr_pids *from, *made;
  size_t i;
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    (void)edr_lua_new_pids(L);
    return 1;
  }
  if (lua_type(L, 1) == LUA_TSTRING) return read_pids(L);
  from = edr_lua_test_pids(L, 1);
  if (from == NULL) {
    (void)edr_lua_check_pids(L, 1);
    return 1;
  }
  made = edr_lua_new_pids(L);
  must(L, edr_pids_reserve(made, from->count));
  for (i = 0; i < from->count; i++) must(L, edr_pids_add_from(made, from, i));
  edr_lua_pids_filled(L, made);
  return 1;
}

static void push_entry(lua_State *L, const edr_pids *pids, size_t index) {
  edr_pid pid;
  edr_pids_get(pids, index, &pid);
  edr_lua_push_pid(L, &pid);
}

static int pids_len(lua_State *L) {
  const edr_pids *pids = luaL_checkudata(L, 1, EDR_LUA_PIDS);
  lua_pushinteger(L, (lua_Integer)pids->count);
  return 1;
}

/* set[i], or a method by its name (the upvalue holds them). */
static int pids_index(lua_State *L) {
  const edr_pids *pids = luaL_checkudata(L, 1, EDR_LUA_PIDS);
  if (lua_isinteger(L, 2)) {
    const lua_Integer i = lua_tointeger(L, 2);
    if (i < 1 || (lua_Unsigned)i > pids->count) return 0;
    push_entry(L, pids, (size_t)i - 1);
    return 1;
  }
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

static int pids_next(lua_State *L) {
  const edr_pids *pids = luaL_checkudata(L, 1, EDR_LUA_PIDS);
  const lua_Integer i = luaL_checkinteger(L, 2) + 1;
  if (i < 1 || (lua_Unsigned)i > pids->count) return 0;
  lua_pushinteger(L, i);
  push_entry(L, pids, (size_t)i - 1);
  return 2;
}

/*** Goes through a set: `for i, pid in pids:iter() do`.
@function pids:iter
*/
static int pids_iter(lua_State *L) {
  luaL_checkudata(L, 1, EDR_LUA_PIDS);
  lua_pushcfunction(L, pids_next);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

/*** The pids for which a function says true.
@function pids:filter
@func keep called as `keep(pid, i)`
@return a new pid set
*/
static int pids_filter(lua_State *L) {
  const edr_pids *pids = luaL_checkudata(L, 1, EDR_LUA_PIDS);
  edr_pids *made;
  size_t i;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  made = edr_lua_new_pids(L);
  for (i = 0; i < pids->count; i++) {
    lua_pushvalue(L, 2);
    push_entry(L, pids, i);
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_call(L, 2, 1);
    if (lua_toboolean(L, -1)) must(L, edr_pids_add_from(made, pids, i));
    lua_pop(L, 1);
  }
  edr_lua_pids_filled(L, made);
  return 1;
}

static int select_pids(lua_State *L, bool wanted) {
  const edr_pids *a = luaL_checkudata(L, 1, EDR_LUA_PIDS), *b;
  edr_pids *made;
  lua_settop(L, 2);
  b = edr_lua_check_pids(L, 2);
  made = edr_lua_new_pids(L);
  must(L, edr_pids_select(a, b, wanted, made));
  edr_lua_pids_filled(L, made);
  return 1;
}

/*** The pids of this set that are not in another one.
@function pids:minus
@param other a pid set, a list of pids, or a pid
@return a new pid set, in the order of this one
*/
static int pids_minus(lua_State *L) {
  return select_pids(L, false);
}

/*** The pids of this set that are in another one, too.
@function pids:both
@param other a pid set, a list of pids, or a pid
@return a new pid set, in the order of this one
*/
static int pids_both(lua_State *L) {
  return select_pids(L, true);
}

/*** This set, and after it those of another one that it lacks.
@function pids:plus
@param other a pid set, a list of pids, or a pid
@return a new pid set
*/
static int pids_plus(lua_State *L) {
  edr_pids *a = luaL_checkudata(L, 1, EDR_LUA_PIDS), *b, *made;
  size_t i;
  lua_settop(L, 2);
  b = edr_lua_check_pids(L, 2);
  made = edr_lua_new_pids(L);
  for (i = 0; i < a->count; i++) must(L, edr_pids_add_from(made, a, i));
  must(L, edr_pids_select(b, a, false, made));
  edr_lua_pids_filled(L, made);
  return 1;
}

/*** Whether a process is in the set.
@function pids:has
@param pid
*/
static int pids_has(lua_State *L) {
  const edr_pids *pids = luaL_checkudata(L, 1, EDR_LUA_PIDS), *one;
  bool found = false;
  size_t i;
  lua_settop(L, 2);
  one = edr_lua_check_pids(L, 2);
  if (one->count != 1) return luaL_argerror(L, 2, "one pid expected");
  for (i = 0; i < pids->count && !found; i++) found = edr_pids_compare(pids, i, one, 0) == 0;
  lua_pushboolean(L, found);
  return 1;
}

/* "3 processes: [<0.1.0>,<0.2.0>,<0.3.0>]"; of many, the first three. */
static int pids_tostring(lua_State *L) {
  const edr_pids *pids = luaL_checkudata(L, 1, EDR_LUA_PIDS);
  const size_t shown = pids->count < 4 ? pids->count : 3;
  size_t i;
  lua_pushfstring(L, "%I %s: [", (LUAI_UACINT)pids->count, pids->count == 1 ? "process" : "processes");
  for (i = 0; i < shown; i++) {
    if (i > 0) lua_pushliteral(L, ",");
    push_entry(L, pids, i);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    lua_concat(L, i > 0 ? 3 : 2);
  }
  lua_pushstring(L, shown < pids->count ? ",...]" : "]");
  lua_concat(L, 2);
  return 1;
}

/*** All of them as text, `"<0.83.0> <0.84.0>"`: as the node itself prints and, by `list_to_pid`, reads its own.
@function pids:text
*/
static int pids_text(lua_State *L) {
  const edr_pids *pids = luaL_checkudata(L, 1, EDR_LUA_PIDS);
  luaL_Buffer text;
  size_t i;
  luaL_buffinit(L, &text);
  for (i = 0; i < pids->count; i++) {
    char one[40];
    const int size = snprintf(one, sizeof one, "%s<0.%" PRIu32 ".%" PRIu32 ">", i > 0 ? " " : "", pids->entries[i].id,
                              pids->entries[i].serial);
    luaL_addlstring(&text, one, (size_t)size);
  }
  luaL_pushresult(&text);
  return 1;
}

void edr_lua_pids_setup(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__gc", pids_gc}, {"__len", pids_len}, {"__tostring", pids_tostring}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"iter", pids_iter}, {"filter", pids_filter}, {"minus", pids_minus}, {"both", pids_both},
      {"plus", pids_plus}, {"has", pids_has},       {"text", pids_text},   {NULL, NULL}};
  luaL_newmetatable(L, EDR_LUA_PIDS);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, pids_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
