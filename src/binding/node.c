/* A connection to a node, in Lua, but for what it asks of many processes at once (bulk.c) and for what is printed there
 * (output.c). Each function checks its arguments, calls the core, and pushes what came of it:
 * `nil, message, code` for what the world refused. lua/edeliver/relup/node/init.lua is its only user. */
#include <string.h>

#include "binding.h"
#include "clock.h"
#include "connect_options.h"
#include "connection.h"
#include "node.h"

#define NODE "edeliver.relup.connection"
#define CALL "edeliver.relup.call"

typedef struct node_box {
  edr_node *node; /* NULL before connect has succeeded, and once collected */
} node_box;

typedef struct call_box {
  edr_call *call; /* its user value keeps the node alive */
} call_box;

static edr_node *test_node(lua_State *L) {
  return ((node_box *)luaL_checkudata(L, 1, NODE))->node;
}

edr_node *edr_lua_check_node(lua_State *L) {
  edr_node *node = test_node(L);
  if (node == NULL) luaL_argerror(L, 1, "not connected");
  return node;
}

/* nil, message, code of what failed last on this node. */
int edr_lua_node_refused(lua_State *L, edr_node *node, edr_status status) {
  const edr_error *error = edr_node_error(node);
  return edr_lua_refused(L, status,
                         error->code == status && error->text[0] != '\0' ? error->text : edr_status_text(status));
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

/* ---- calls ---- */

static int call_gc(lua_State *L) {
  call_box *box = luaL_checkudata(L, 1, CALL);
  edr_call_free(box->call);
  box->call = NULL;
  return 0;
}

typedef edr_status (*call_starter)(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                                   int64_t deadline_ms, edr_call **out_call);

/* As the others: one for what is printed waits for nothing. */
static edr_status start_format(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                               int64_t deadline_ms, edr_call **out_call) {
  (void)deadline_ms;
  return edr_node_format(node, module, function, arguments, out_call);
}

/* Starts a call and pushes its box, or nil, message, code; the number of results is returned. */
static int start_call(lua_State *L, call_starter start, int64_t deadline_ms) {
  edr_node *node = edr_lua_check_node(L);
  const char *module = edr_lua_check_atom(L, 2), *function = edr_lua_check_atom(L, 3);
  edr_buf *arguments;
  call_box *box;
  edr_status status;

  luaL_checktype(L, 4, LUA_TTABLE);
  arguments = edr_lua_new_buf(L);
  edr_lua_encode(L, 4, arguments);
  box = lua_newuserdatauv(L, sizeof *box, 1);
  box->call = NULL;
  luaL_setmetatable(L, CALL);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  status = start(node, module, function, arguments, deadline_ms, &box->call);
  edr_buf_deinit(arguments);
  return status == EDR_OK ? 1 : edr_lua_node_refused(L, node, status);
}

/* Waits for the call whose box is at `index`. */
static int finish_call(lua_State *L, edr_node *node, int index, bool output, int64_t deadline_ms) {
  call_box *box = luaL_checkudata(L, index, CALL);
  const char *problem = NULL;
  edr_slice value;
  edr_status status;
  edr_outcome outcome;

  if (box->call == NULL) return luaL_error(L, "this call's answer was taken already");
  lua_getiuservalue(L, index, 1);
  if (!lua_rawequal(L, 1, -1)) return luaL_argerror(L, index, "a call of another connection");
  lua_pop(L, 1);
  status = output ? edr_node_await_output(node, box->call, deadline_ms) : edr_node_await(node, box->call, deadline_ms);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  outcome = edr_call_outcome(box->call);
  value = edr_call_value(box->call);
  status = edr_lua_decode(L, value.data, value.size, &problem);
  edr_call_free(box->call);
  box->call = NULL;
  if (status != EDR_OK) return edr_lua_refused(L, status, problem);
  if (outcome == EDR_OUTCOME_RETURN) return 1;
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushstring(L, outcome == EDR_OUTCOME_THROW ? "throw" : outcome == EDR_OUTCOME_EXIT ? "exit" : "error");
  lua_rotate(L, -4, -1); /* nil, nil, class, reason */
  return 4;
}

/*** Calls a function on the node and waits.
@function connection:call
@string module
@string fun
@tparam table arguments a list of terms
@param[opt=5000] timeout in ms
@return what it returned; or nil, nil, "error" | "exit" | "throw", reason; or nil, message, code
*/
static int node_call(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 5, EDR_LUA_TIMEOUT_MS);
  int results, box;
  lua_settop(L, 4);
  results = start_call(L, edr_node_call, deadline_ms);
  if (results != 1) return results;
  box = lua_gettop(L);
  results = finish_call(L, node, box, false, deadline_ms);
  /* Given up: its answer will be dropped when it comes. */
  if (((call_box *)lua_touserdata(L, box))->call != NULL) {
    edr_call_free(((call_box *)lua_touserdata(L, box))->call);
    ((call_box *)lua_touserdata(L, box))->call = NULL;
  }
  return results;
}

/*** Starts a call; `connection:await` waits for it. Several may be in flight.
@function connection:request
@string module
@string fun
@tparam table arguments a list of terms
@param[opt=5000] timeout in ms, for sending it where much is queued already
@return a call, or nil, message, code
*/
static int node_request(lua_State *L) {
  const int64_t deadline_ms = edr_lua_check_deadline(L, 5, EDR_LUA_TIMEOUT_MS);
  lua_settop(L, 4);
  return start_call(L, edr_node_call, deadline_ms);
}

/*** Starts a call that a request to print needs, and waits for nothing: see edr_node_format.
@function connection:format
@return a call, or nil, message, code
*/
static int node_format(lua_State *L) {
  lua_settop(L, 4);
  return start_call(L, start_format, 0);
}

/*** Whether a call has ended, so that `await` comes back at once.
@function connection:has_ended
@param call
*/
static int node_has_ended(lua_State *L) {
  const call_box *box = luaL_checkudata(L, 2, CALL);
  lua_pushboolean(L, box->call == NULL || edr_call_has_ended(box->call));
  return 1;
}

/*** Gives a call up: its answer will be dropped when it comes.
@function connection:give_up
@param call
*/
static int node_give_up(lua_State *L) {
  lua_remove(L, 1);
  return call_gc(L);
}

/*** Starts an act: a call that will be undone. It ends with the connection, and `end_acts` ends it.
@function connection:act
@return as `request`
*/
static int node_act(lua_State *L) {
  lua_settop(L, 4);
  return start_call(L, edr_node_act, edr_deadline_after(EDR_LUA_TIMEOUT_MS));
}

/*** Ends all acts in flight, also those that nobody waits for.
@function connection:end_acts
@param[opt=5000] timeout in ms
@return true: whatever is asked for now comes after them; or nil, message, code
*/
static int node_end_acts(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const edr_status status = edr_node_end_acts(node, edr_lua_check_deadline(L, 2, EDR_LUA_TIMEOUT_MS));
  if (status != EDR_OK) return edr_lua_refused(L, status, edr_status_text(status));
  lua_pushboolean(L, 1);
  return 1;
}

/*** Waits for a call that was started by `request`. After a timeout it can be waited for again.
@function connection:await
@param call
@param[opt=5000] timeout in ms
@tparam[opt] boolean output whether to come back with the code "again" when `output` gives a request to print, or a call
of `format` has ended
@return as `call` does
*/
static int node_await(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 3, EDR_LUA_TIMEOUT_MS);
  return finish_call(L, node, 2, lua_toboolean(L, 4), deadline_ms);
}

/*** Runs a function on the node and does not wait for it.
@function connection:cast
@return true, or nil, message, code
*/
static int node_cast(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const char *module = edr_lua_check_atom(L, 2), *function = edr_lua_check_atom(L, 3);
  edr_buf *arguments;
  edr_status status;
  luaL_checktype(L, 4, LUA_TTABLE);
  arguments = edr_lua_new_buf(L);
  edr_lua_encode(L, 4, arguments);
  status = edr_node_cast(node, module, function, arguments, edr_deadline_after(EDR_LUA_TIMEOUT_MS));
  edr_buf_deinit(arguments);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- messages ---- */

/*** Sends a message to a pid, or to the process registered under a name on the node.
@function connection:send
@param to a pid, or a name
@param message a term
@return true, or nil, message, code
*/
static int node_send(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_deadline_after(EDR_LUA_TIMEOUT_MS);
  edr_pid pid;
  edr_buf *message;
  edr_status status;
  const bool by_name = lua_type(L, 2) == LUA_TSTRING;

  if (!by_name && !edr_lua_to_pid(L, 2, &pid)) luaL_argerror(L, 2, "a pid or a name expected");
  luaL_checkany(L, 3);
  message = edr_lua_new_buf(L);
  edr_lua_encode(L, 3, message);
  status = by_name ? edr_node_send_name(node, edr_lua_check_atom(L, 2), message, deadline_ms)
                   : edr_node_send(node, &pid, message, deadline_ms);
  edr_buf_deinit(message);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
  return 1;
}

/*** The next message that was sent to us: also `{'DOWN', Ref, process, Pid, Reason}` of what we monitor.
@function connection:receive
@param[opt=5000] timeout in ms
@return a term, or nil, message, code
*/
static int node_receive(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 2, EDR_LUA_TIMEOUT_MS);
  const char *problem = NULL;
  edr_buf *message = edr_lua_new_buf(L);
  edr_status status = edr_node_receive(node, deadline_ms, message);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  status = edr_lua_decode(L, message->data, message->size, &problem);
  edr_buf_deinit(message);
  return status == EDR_OK ? 1 : edr_lua_refused(L, status, problem);
}

/*** Monitors a process: its end will be a message.
@function connection:monitor
@param pid
@return a reference, or nil, message, code
*/
static int node_monitor(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  edr_pid pid;
  edr_ref ref;
  edr_status status;
  if (!edr_lua_to_pid(L, 2, &pid)) luaL_argerror(L, 2, "a pid expected");
  status = edr_node_monitor(node, &pid, &ref);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  edr_lua_push_ref(L, &ref);
  return 1;
}

/*** Takes a monitor back.
@function connection:demonitor
@param reference
*/
static int node_demonitor(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  edr_ref ref;
  edr_status status;
  if (!edr_lua_to_ref(L, 2, &ref)) luaL_argerror(L, 2, "a reference expected");
  status = edr_node_demonitor(node, &ref);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
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
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
  return 1;
}

/*** Takes what has arrived and sends what is queued, without waiting: what an event loop does when `pollfd` is ready.
@function connection:pump
@return true, or nil, message, code
*/
static int node_pump(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const edr_status status = edr_node_pump(node);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
  return 1;
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

/*** Messages that were dropped because the mailbox was full.
@function connection:dropped
*/
static int node_dropped(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)edr_node_dropped(edr_lua_check_node(L)));
  return 1;
}

void edr_lua_node_setup(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", node_close},
                                     {"is_open", node_is_open},
                                     {"self", node_self},
                                     {"call", node_call},
                                     {"request", node_request},
                                     {"format", node_format},
                                     {"await", node_await},
                                     {"has_ended", node_has_ended},
                                     {"give_up", node_give_up},
                                     {"act", node_act},
                                     {"end_acts", node_end_acts},
                                     {"cast", node_cast},
                                     {"send", node_send},
                                     {"receive", node_receive},
                                     {"monitor", node_monitor},
                                     {"demonitor", node_demonitor},
                                     {"processes", edr_lua_node_processes},
                                     {"process_info", edr_lua_node_process_info},
                                     {"owns", edr_lua_node_owns},
                                     {"sys", edr_lua_node_sys},
                                     {"suspended", edr_lua_node_suspended},
                                     {"sleep", node_sleep},
                                     {"pump", node_pump},
                                     {"pollfd", node_pollfd},
                                     {"events", node_events},
                                     {"timeout", node_timeout},
                                     {"dropped", node_dropped},
                                     {"keep_output", edr_lua_node_keep_output},
                                     {"output", edr_lua_node_output},
                                     {"answer", edr_lua_node_answer},
                                     {"await_output", edr_lua_node_await_output},
                                     {"__gc", node_gc},
                                     {"__close", node_close},
                                     {NULL, NULL}};
  luaL_newmetatable(L, NODE);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newmetatable(L, CALL);
  lua_pushcfunction(L, call_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 2);
}
