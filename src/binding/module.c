/*** The C module, edeliver.relup.core: what the Lua side builds on. Operators use edeliver.relup instead.
@module edeliver.relup.core
*/
#include <math.h>
#include <poll.h>

#include "binding.h"
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

/*** Milliseconds of the monotonic clock.
@function now
*/
static int core_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)edr_clock_now_us() / 1000);
  return 1;
}

/*** Waits; a signal ends the wait early.
@function sleep
@tparam number ms
*/
static int core_sleep(lua_State *L) {
  (void)poll(NULL, 0, edr_deadline_poll_ms(edr_lua_check_deadline(L, 1, 0)));
  return 0;
}

/*** Waits until standard input has something to read, or has ended; a signal ends the wait early. For prompts.
@function await_input
@tparam[opt=math.huge] number ms
@return whether it has
*/
static int core_await_input(lua_State *L) {
  struct pollfd input = {0, POLLIN, 0};
  const int64_t deadline_ms = lua_isnoneornil(L, 1) ? EDR_NEVER : edr_lua_check_deadline(L, 1, 0);
  lua_pushboolean(L, poll(&input, 1, edr_deadline_poll_ms(deadline_ms)) > 0);
  return 1;
}

static const luaL_Reg functions[] = {{"set_types", edr_lua_set_types},
                                     {"encode", edr_lua_core_encode},
                                     {"decode", edr_lua_core_decode},
                                     {"pids", edr_lua_core_pids},
                                     {"connect", edr_lua_core_connect},
                                     {"now", core_now},
                                     {"sleep", core_sleep},
                                     {"await_input", core_await_input},
                                     {"catch_signals", edr_lua_catch_signals},
                                     {"block_signals", edr_lua_block_signals},
                                     {"let_signals_through", edr_lua_let_signals_through},
                                     {"take_signal", edr_lua_take_signal},
                                     {"release_signals", edr_lua_release_signals},
                                     {"replace_file", edr_lua_replace_file},
                                     {"sync", edr_lua_sync},
                                     {"open_private", edr_lua_open_private},
                                     {"open_plain", edr_lua_open_plain},
                                     {"file_stat", edr_lua_file_stat},
                                     {NULL, NULL}};

/* The one symbol that the module exports. */
__attribute__((visibility("default"))) int luaopen_edeliver_relup_core(lua_State *L);

int luaopen_edeliver_relup_core(lua_State *L) {
  luaL_newmetatable(L, BUF);
  lua_pushcfunction(L, buf_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  edr_lua_pids_setup(L);
  edr_lua_node_setup(L);
  luaL_newlib(L, functions);
  return 1;
}
