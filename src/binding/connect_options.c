/* The options of `connect`; contract in connect_options.h. What options there are and what they mean is said in
 * lua/edeliver/relup/node/init.lua; here they only get their C types. */
#include "connect_options.h"

#include <lauxlib.h>
#include <string.h>

#include "support.h"

/* The strings stay on the stack for as long as the options are used. */
static const char *optional_string(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "the option %s is a string, not a %s", name, luaL_typename(L, -1));
  if (strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1)) luaL_error(L, "the option %s has a zero byte in it", name);
  return lua_tostring(L, -1);
}

static lua_Integer optional_integer(lua_State *L, const char *name, lua_Integer least, lua_Integer most) {
  lua_Integer value;
  int is = 1;
  lua_getfield(L, 1, name);
  if (lua_isnil(L, -1)) return 0;
  value = lua_tointegerx(L, -1, &is);
  if (!is || value < least || value > most)
    luaL_error(L, "the option %s is an integer from %I to %I", name, (LUAI_UACINT)least, (LUAI_UACINT)most);
  return value;
}

/* The table on top of the stack. Only the exact word gives up the check of certificates: anything else raises. */
static void read_tls(lua_State *L, edr_tls_options *out_tls) {
  const int table = lua_gettop(L);
  const char *verify;
  if (!lua_istable(L, table)) luaL_error(L, "the option tls is a table, not a %s", luaL_typename(L, table));
  out_tls->cacertfile = optional_string(L, table, "cacertfile");
  out_tls->certfile = optional_string(L, table, "certfile");
  out_tls->keyfile = optional_string(L, table, "keyfile");
  out_tls->password = optional_string(L, table, "password");
  out_tls->server_name = optional_string(L, table, "server_name");
  verify = optional_string(L, table, "verify");
  out_tls->verify_none = verify != NULL && strcmp(verify, "none") == 0;
  if (verify != NULL && !out_tls->verify_none && strcmp(verify, "peer") != 0)
    luaL_error(L, "the option tls.verify is \"peer\" or \"none\", not \"%s\"", verify);
}

void edr_lua_connect_options(lua_State *L, int64_t default_timeout_ms, edr_node_options *out_options,
                             edr_tls_options *out_tls) {
  memset(out_options, 0, sizeof *out_options);
  memset(out_tls, 0, sizeof *out_tls);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 32, NULL);
  out_options->dial.node = optional_string(L, 1, "node");
  if (out_options->dial.node == NULL) luaL_error(L, "the option node is missing");
  out_options->dial.cookie = optional_string(L, 1, "cookie");
  out_options->dial.address = optional_string(L, 1, "address");
  out_options->dial.ssh = optional_string(L, 1, "ssh");
  out_options->dial.name = optional_string(L, 1, "name");
  out_options->dial.port = (uint16_t)optional_integer(L, "port", 1, 65535);
  out_options->dial.epmd_port = (uint16_t)optional_integer(L, "epmd_port", 1, 65535);
  out_options->tick_ms = optional_integer(L, "tick", 1, 3600000);
  out_options->max_frame = (size_t)optional_integer(L, "max_frame", 1024, 0xffffffff);
  lua_getfield(L, 1, "rex");
  out_options->rex = lua_toboolean(L, -1);
  lua_getfield(L, 1, "tls");
  if (!lua_isnil(L, -1)) {
    read_tls(L, out_tls);
    out_options->dial.tls = out_tls;
  }
  lua_getfield(L, 1, "timeout");
  out_options->dial.deadline_ms = edr_lua_check_deadline(L, lua_gettop(L), default_timeout_ms);
}
