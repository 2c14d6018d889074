/*** The C module, edeliver.relup.core: what the Lua side builds on. Operators use edeliver.relup instead.
@module edeliver.relup.core
*/
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "beam_file.h"
#include "bulk.h"
#include "calls.h"
#include "clock.h"
#include "connection.h"
#include "decode.h"
#include "digest.h"
#include "encode.h"
#include "epmd_names.h"
#include "folder.h"
#include "messages.h"
#include "open_file.h"
#include "output.h"
#include "pid_sets.h"
#include "program.h"
#include "replace_file.h"
#include "signals.h"
#include "signature.h"
#include "support.h"
#include "sync.h"
#include "terminal.h"
#include "types.h"

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

/*** Keeps the memory of this program, with the cookies and keys in it, out of core dumps, and away from debuggers of
the same user. The program `edeliver-relup` calls it first of all; a program of one's own decides for itself.
@function no_core_dumps
@return true, or nil, message, code
*/
static int core_no_core_dumps(lua_State *L) {
  const int problem = edr_program_no_core_dumps();
  if (problem != 0) return edr_lua_refused(L, EDR_ESYSTEM, strerror(problem));
  lua_pushboolean(L, 1);
  return 1;
}

/*** The name of the user that this program runs as, by its uid.
@function user_name
@treturn string; nil where the system knows none
*/
static int core_user_name(lua_State *L) {
  char text[4096];
  struct passwd entry, *found = NULL;
  if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) != 0 || found == NULL) {
    lua_pushnil(L);
  } else {
    lua_pushstring(L, found->pw_name);
  }
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
                                     {"no_core_dumps", core_no_core_dumps},
                                     {"user_name", core_user_name},
                                     {"epmd_names", edr_lua_epmd_names},
                                     {"spinner", edr_lua_spinner},
                                     {"columns", edr_lua_columns},
                                     {"catch_signals", edr_lua_catch_signals},
                                     {"block_signals", edr_lua_block_signals},
                                     {"let_signals_through", edr_lua_let_signals_through},
                                     {"without_yield", edr_lua_without_yield},
                                     {"take_signal", edr_lua_take_signal},
                                     {"release_signals", edr_lua_release_signals},
                                     {"replace_file", edr_lua_replace_file},
                                     {"sync", edr_lua_sync},
                                     {"open_private", edr_lua_open_private},
                                     {"open_plain", edr_lua_open_plain},
                                     {"file_stat", edr_lua_file_stat},
                                     {"private_folder", edr_lua_private_folder},
                                     {"file_digest", edr_lua_file_digest},
                                     {"crc32", edr_lua_crc32},
                                     {"check_signature", edr_lua_check_signature},
                                     {"list_folder", edr_lua_list_folder},
                                     {"read_link", edr_lua_read_link},
                                     {"archive", edr_lua_archive},
                                     {"md5", edr_lua_md5},
                                     {"deflate", edr_lua_deflate},
                                     {"beam", edr_lua_beam},
                                     {"digest", edr_lua_digest},
                                     {"digest_file", edr_lua_digest_file},
                                     {NULL, NULL}};

/* The one symbol that the module exports. */
__attribute__((visibility("default"))) int luaopen_edeliver_relup_core(lua_State *L);

int luaopen_edeliver_relup_core(lua_State *L) {
  static const luaL_Reg *const methods[] = {edr_lua_call_methods, edr_lua_message_methods, edr_lua_bulk_methods,
                                            edr_lua_output_methods};
  edr_program_open_standard();
  edr_lua_support_setup(L);
  edr_lua_pids_setup(L);
  edr_lua_connection_setup(L, methods, sizeof methods / sizeof methods[0]);
  edr_lua_calls_setup(L);
  edr_lua_archive_setup(L);
  edr_lua_beam_setup(L);
  luaL_newlib(L, functions);
  return 1;
}
