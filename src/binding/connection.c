/* A connection to a node, in Lua; the contract is in connection.h. Each function checks its arguments, calls the core,
 * and pushes what came of it: `nil, message, code` for what the world refused. */
#include "connection.h"

#include <string.h>

#include "connect_options.h"
#include "support.h"
#include "types.h"

#define NODE "edeliver.relup.connection"

typedef struct node_box {
  edr_node *node; /* NULL before connect has succeeded, and once collected */
} node_box;

static edr_node *test_node(lua_State *L) {
  return ((node_box *)luaL_checkudata(L, 1, NODE))->node;
}

edr_node *edr_lua_check_node(lua_State *L) {
  edr_node *node = test_node(L);
  if (node == NULL) luaL_argerror(L, 1, "not connected");
  return node;
}

int edr_lua_node_refused(lua_State *L, edr_node *node, edr_status status) {
  const edr_error *error = edr_node_error(node);
  return edr_lua_refused(L, status,
                         error->code == status && error->text[0] != '\0' ? error->text : edr_status_text(status));
}

int edr_lua_node_done(lua_State *L, edr_node *node, edr_status status) {
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
  return 1;
}

const char *edr_lua_check_atom(lua_State *L, int index) {
  size_t size;
  const char *name = luaL_checklstring(L, index, &size);
  if (!edr_etf_atom_valid(name, size) || strlen(name) != size) luaL_argerror(L, index, "not the name of an atom");
  return name;
}

/* ---- connecting and closing ---- */

/*** Connects to a node.
@function connect
@tparam table options `node`, and optionally `cookie`, `address`, `port`, `epmd_port`, `name`, `timeout` (ms), `tick`
(ms), `max_frame` (bytes), `rex` (boolean), `tls` (a table)
@return a connection, or nil, message, code
*/
int edr_lua_core_connect(lua_State *L) {
  edr_node_options options;
  edr_tls_options tls;
  edr_error error;
  node_box *box;
  edr_status status;

  lua_settop(L, 1);
  memset(&error, 0, sizeof error);
  edr_lua_connect_options(L, EDR_LUA_TIMEOUT_MS, &options, &tls);
  box = lua_newuserdatauv(L, sizeof *box, 0);
  memset(box, 0, sizeof *box);
  luaL_setmetatable(L, NODE);
  status = edr_node_open(&options, &box->node, &error);
  if (status != EDR_OK) return edr_lua_refused(L, status, error.text[0] != '\0' ? error.text : edr_status_text(status));
  return 1;
}

/*** Closes the connection. May be called twice.
@function connection:close
*/
static int node_close(lua_State *L) {
  edr_node *node = test_node(L);
  if (node != NULL) edr_node_close(node);
  return 0;
}

static int node_gc(lua_State *L) {
  node_box *box = luaL_checkudata(L, 1, NODE);
  edr_node_free(box->node);
  box->node = NULL;
  return 0;
}

/*** Whether the connection is up, as far as is known.
@function connection:is_open
*/
static int node_is_open(lua_State *L) {
  const edr_node *node = test_node(L);
  lua_pushboolean(L, node != NULL && edr_node_is_open(node));
  return 1;
}

/*** The pid that we go by on the node.
@function connection:self
*/
static int node_self(lua_State *L) {
  edr_lua_push_pid(L, edr_node_self(edr_lua_check_node(L)));
  return 1;
}

/* ---- waiting ---- */

/*** Lets time pass while the connection is served.
@function connection:sleep
@param ms
@return true, or nil, message, code
*/
static int node_sleep(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const edr_status status = edr_node_sleep(node, edr_lua_check_deadline(L, 2, 0));
  return edr_lua_node_done(L, node, status);
}

/*** Takes what has arrived and sends what is queued, without waiting: what an event loop does when `pollfd` is ready.
@function connection:pump
@return true, or nil, message, code
*/
static int node_pump(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const edr_status status = edr_node_pump(node);
  return edr_lua_node_done(L, node, status);
}

/*** The descriptor to poll; nil once closed.
@function connection:pollfd
*/
static int node_pollfd(lua_State *L) {
  const edr_node *node = test_node(L);
  if (node == NULL || edr_node_fd(node) < 0) return 0;
  lua_pushinteger(L, edr_node_fd(node));
  return 1;
}

/*** What to poll for: "r" or "rw".
@function connection:events
*/
static int node_events(lua_State *L) {
  lua_pushstring(L, edr_node_wants_write(edr_lua_check_node(L)) ? "rw" : "r");
  return 1;
}

/*** How long to poll at most, in seconds: nil for no limit, 0 where something is here already, of which polling says
nothing.
@function connection:timeout
*/
static int node_timeout(lua_State *L) {
  if (!edr_node_has_input(edr_lua_check_node(L))) return 0;
  lua_pushnumber(L, 0);
  return 1;
}

void edr_lua_connection_setup(lua_State *L, const luaL_Reg *const *methods, size_t count) {
  static const luaL_Reg own[] = {{"close", node_close},
                                 {"is_open", node_is_open},
                                 {"self", node_self},
                                 {"sleep", node_sleep},
                                 {"pump", node_pump},
                                 {"pollfd", node_pollfd},
                                 {"events", node_events},
                                 {"timeout", node_timeout},
                                 {"__gc", node_gc},
                                 {"__close", node_close},
                                 {NULL, NULL}};
  size_t i;
  luaL_newmetatable(L, NODE);
  luaL_setfuncs(L, own, 0);
  for (i = 0; i < count; i++) luaL_setfuncs(L, methods[i], 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
