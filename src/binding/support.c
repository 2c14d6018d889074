/* Errors, deadlines and boxes; the contract is in support.h. */
#include "support.h"

#include <math.h>

#include "clock.h"

#define BUF "edeliver.relup.buf"

int edr_lua_refused(lua_State *L, edr_status status, const char *message) {
  lua_pushnil(L);
  lua_pushstring(L, message);
  lua_pushstring(L, edr_status_name(status));
  return 3;
}

int64_t edr_lua_check_deadline(lua_State *L, int index, lua_Integer fallback_ms) {
  lua_Number timeout_ms;
  if (lua_isnoneornil(L, index)) return edr_deadline_after(fallback_ms);
  timeout_ms = luaL_checknumber(L, index);
  if (!(timeout_ms >= 0)) luaL_argerror(L, index, "a timeout in milliseconds, or math.huge, expected");
  return timeout_ms >= 9e15 ? EDR_NEVER : edr_deadline_after((int64_t)ceil(timeout_ms));
}

static int buf_gc(lua_State *L) {
  edr_buf_deinit(lua_touserdata(L, 1));
  return 0;
}

edr_buf *edr_lua_new_buf(lua_State *L) {
  edr_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);
  edr_buf_init(buf);
  luaL_setmetatable(L, BUF);
  return buf;
}

/* Into the metatable on top. */
static void set_gc(lua_State *L, lua_CFunction gc) {
  lua_pushcfunction(L, gc);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__gc");
  lua_setfield(L, -2, "__close");
}

void edr_lua_new_class(lua_State *L, const char *name, lua_CFunction gc, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  set_gc(L, gc);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void edr_lua_close_by(lua_State *L, lua_CFunction gc) {
  lua_createtable(L, 0, 2);
  set_gc(L, gc);
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
}

void edr_lua_push_hex(lua_State *L, const uint8_t *bytes, size_t size) {
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (size_t i = 0; i < size; i++) {
    luaL_addchar(&text, "0123456789abcdef"[bytes[i] >> 4]);
    luaL_addchar(&text, "0123456789abcdef"[bytes[i] & 15]);
  }
  luaL_pushresult(&text);
}

void edr_lua_support_setup(lua_State *L) {
  luaL_newmetatable(L, BUF);
  lua_pushcfunction(L, buf_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
