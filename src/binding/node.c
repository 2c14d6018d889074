/* A connection to a node, in Lua. Each function checks its arguments, calls the core, and pushes what came of it:
 * `nil, message, code` for what the world refused. lua/edeliver/relup/node.lua is its only user. */
#include <limits.h>
#include <string.h>

#include "binding.h"
#include "clock.h"
#include "connect_options.h"
#include "connection.h"
#include "node.h"
#include "relay.h"

#define NODE "edeliver.relup.connection"
#define CALL "edeliver.relup.call"

enum { DEFAULT_TIMEOUT_MS = 5000 };

typedef struct node_box {
  edr_node *node; /* NULL before connect has succeeded, and once collected */
} node_box;

typedef struct call_box {
  edr_call *call; /* its user value keeps the node alive */
} call_box;

static edr_node *test_node(lua_State *L) { return ((node_box *)luaL_checkudata(L, 1, NODE))->node; }

edr_node *edr_lua_check_node(lua_State *L) {
  edr_node *node = test_node(L);
  if (node == NULL) luaL_argerror(L, 1, "not connected");
  return node;
}

/* nil, message, code of what failed last on this node. */
int edr_lua_node_refused(lua_State *L, edr_node *node, edr_status status) {
  const edr_error *error = edr_node_error(node);
  return edr_lua_refused(L, status, error->code == status && error->text[0] != '\0' ? error->text : edr_status_text(status));
}

static const char *check_atom(lua_State *L, int index) {
  size_t size;
  const char *name = luaL_checklstring(L, index, &size);
  if (!edr_etf_atom_valid(name, size) || strlen(name) != size) luaL_argerror(L, index, "not the name of an atom");
  return name;
}

/* ---- connecting and closing ---- */

/*** Connects to a node.
@function connect
@tparam table options `node`, and optionally `cookie`, `address`, `port`, `epmd_port`, `name`, `timeout` (ms), `tick` (ms),
`max_frame` (bytes), `rex` (boolean), `tls` (a table)
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
  edr_lua_connect_options(L, DEFAULT_TIMEOUT_MS, &options, &tls);
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

/* Starts a call and pushes its box, or nil, message, code; the number of results is returned. */
static int start_call(lua_State *L, int64_t deadline_ms) {
  edr_node *node = edr_lua_check_node(L);
  const char *module = check_atom(L, 2), *function = check_atom(L, 3);
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
  status = edr_node_call(node, module, function, arguments, deadline_ms, &box->call);
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
  const int64_t deadline_ms = edr_lua_check_deadline(L, 5, DEFAULT_TIMEOUT_MS);
  int results, box;
  lua_settop(L, 4);
  results = start_call(L, deadline_ms);
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
@return a call, or nil, message, code
*/
static int node_request(lua_State *L) {
  lua_settop(L, 4);
  return start_call(L, edr_deadline_after(DEFAULT_TIMEOUT_MS));
}

/*** Waits for a call that was started by `request`. After a timeout it can be waited for again.
@function connection:await
@param call
@param[opt=5000] timeout in ms
@tparam[opt] boolean output whether to come back with the code "again" when there is a request to print
@return as `call` does
*/
static int node_await(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 3, DEFAULT_TIMEOUT_MS);
  return finish_call(L, node, 2, lua_toboolean(L, 4), deadline_ms);
}

/*** Runs a function on the node and does not wait for it.
@function connection:cast
@return true, or nil, message, code
*/
static int node_cast(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const char *module = check_atom(L, 2), *function = check_atom(L, 3);
  edr_buf *arguments;
  edr_status status;
  luaL_checktype(L, 4, LUA_TTABLE);
  arguments = edr_lua_new_buf(L);
  edr_lua_encode(L, 4, arguments);
  status = edr_node_cast(node, module, function, arguments, edr_deadline_after(DEFAULT_TIMEOUT_MS));
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
  const int64_t deadline_ms = edr_deadline_after(DEFAULT_TIMEOUT_MS);
  edr_pid pid;
  edr_buf *message;
  edr_status status;
  const bool by_name = lua_type(L, 2) == LUA_TSTRING;

  if (!by_name && !edr_lua_to_pid(L, 2, &pid)) luaL_argerror(L, 2, "a pid or a name expected");
  luaL_checkany(L, 3);
  message = edr_lua_new_buf(L);
  edr_lua_encode(L, 3, message);
  status = by_name ? edr_node_send_name(node, check_atom(L, 2), message, deadline_ms)
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
  const int64_t deadline_ms = edr_lua_check_deadline(L, 2, DEFAULT_TIMEOUT_MS);
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

/* ---- many processes at once ---- */

/*** All processes of the node.
@function connection:processes
@return a pid set, or nil, message, code
*/
static int node_processes(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 2, DEFAULT_TIMEOUT_MS);
  edr_pids *pids = edr_lua_new_pids(L);
  const edr_status status = edr_relay_processes(node, deadline_ms, pids);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  edr_lua_pids_filled(L, pids);
  return 1;
}

/* Pids of another node are the caller's mistake. Those of an earlier life of this one are dead. */
static edr_pids *check_local_pids(lua_State *L, int index, edr_node *node) {
  edr_pids *pids = edr_lua_check_pids(L, index);
  size_t i;
  for (i = 0; i < pids->node_count; i++) {
    if (strcmp(pids->nodes[i], edr_node_name(node)) != 0)
      luaL_error(L, "these are not all pids of %s: one is of %s", edr_node_name(node), pids->nodes[i]);
  }
  return pids;
}

static int result_gc(lua_State *L) {
  edr_relay_result_deinit(lua_touserdata(L, 1));
  return 0;
}

/*** Sends `sys` requests to many processes and waits for their answers.
@function connection:sys
@string request "suspend" or "resume"
@param pids
@param[opt=1000] timeout in ms
@return the number of processes that did not answer ok, then a list of their positions and one of the reasons ("noproc",
"timeout", "error"); or nil, message, code, and whether requests may have been sent
*/
static int node_sys(lua_State *L) {
  static const char *const requests[] = {"suspend", "resume", NULL};
  static const char *const reasons[] = {"ok", "timeout", "noproc", "error"};
  edr_node *node = edr_lua_check_node(L);
  const char *request = requests[luaL_checkoption(L, 2, NULL, requests)];
  const int64_t deadline_ms = edr_lua_check_deadline(L, 4, 1000);
  edr_pids *pids;
  edr_relay_result *result;
  edr_status status;
  lua_Integer found = 0;
  size_t i;

  lua_settop(L, 3);
  pids = check_local_pids(L, 3, node);
  result = lua_newuserdatauv(L, sizeof *result, 0);
  memset(result, 0, sizeof *result);
  if (luaL_newmetatable(L, "edeliver.relup.result")) {
    lua_pushcfunction(L, result_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  status = edr_relay_sys(node, pids, request, deadline_ms, result);
  if (status != EDR_OK) {
    const int results = edr_lua_node_refused(L, node, status);
    lua_pushboolean(L, result->sent);
    return results + 1;
  }
  lua_pushinteger(L, (lua_Integer)result->failed);
  lua_createtable(L, result->failed < 65536 ? (int)result->failed : 65536, 0);
  lua_createtable(L, result->failed < 65536 ? (int)result->failed : 65536, 0);
  for (i = 0; i < result->count; i++) {
    if (result->answers[i] == EDR_ANSWER_OK) continue;
    found++;
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_rawseti(L, -3, found);
    lua_pushstring(L, reasons[result->answers[i]]);
    lua_rawseti(L, -2, found);
  }
  edr_relay_result_deinit(result);
  return 3;
}

/* ---- process_info ---- */

typedef struct info_target {
  lua_State *L;
  int list;
  size_t index;
  edr_slice info;
  bool raised; /* Lua raised, and its error is on top of the stack */
} info_target;

/* `[{Item, Value}, ...]` becomes `{ item = value }`; `undefined`, a dead process, becomes false. Arguments: the list to put
 * it into, and the target. Returns nothing, or why the term can't be read. */
static int add_info(lua_State *L) {
  const info_target *target = lua_touserdata(L, 2);
  const char *problem;
  const edr_status status = edr_lua_decode(L, target->info.data, target->info.size, &problem);
  lua_Integer i, count;

  if (status != EDR_OK) {
    lua_pushinteger(L, status);
    return 1;
  }
  count = lua_rawlen(L, -1) > INT_MAX ? 0 : (lua_Integer)lua_rawlen(L, -1);
  if (count == 0) {
    lua_pushboolean(L, 0);
  } else {
    lua_createtable(L, 0, (int)count);
    for (i = 1; i <= count; i++) {
      lua_rawgeti(L, 3, i);
      lua_rawgeti(L, -1, 1);
      if (!lua_istable(L, -1)) { /* true and false are atoms, too */
        lua_pushinteger(L, EDR_EPROTOCOL);
        return 1;
      }
      lua_getfield(L, -1, "name");
      lua_rawgeti(L, -3, 2);
      lua_rawset(L, 4);
      lua_settop(L, 4);
    }
  }
  lua_rawseti(L, 1, (lua_Integer)target->index + 1);
  return 0;
}

/* Whatever Lua raises in between (no memory, an interrupt) must not pass through the core, which owns calls by then. */
static edr_status on_info(void *context, size_t index, edr_slice info) {
  info_target *target = context;
  lua_State *L = target->L;
  edr_status status = EDR_OK;

  target->index = index;
  target->info = info;
  lua_pushcfunction(L, add_info);
  lua_pushvalue(L, target->list);
  lua_pushlightuserdata(L, target);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
    target->raised = true;
    return EDR_EBADARG;
  }
  if (!lua_isnil(L, -1)) status = (edr_status)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return status;
}

/*** `erlang:process_info/2` of many processes.
@function connection:process_info
@param pids
@tparam table items names, as strings
@param[opt=5000] timeout in ms
@return a list with a table `{ item = value }` for each process, or false where it is dead; or nil, message, code
*/
static int node_process_info(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 4, DEFAULT_TIMEOUT_MS);
  info_target target = {.L = L};
  edr_pids *pids;
  edr_buf *items;
  edr_status status;
  lua_Integer i, count;

  lua_settop(L, 3);
  pids = check_local_pids(L, 2, node);
  luaL_checktype(L, 3, LUA_TTABLE);
  items = edr_lua_new_buf(L);
  count = luaL_len(L, 3);
  if (count == 0) luaL_argerror(L, 3, "at least one item expected");
  edr_etf_put_list(items, (size_t)count);
  for (i = 1; i <= count; i++) {
    lua_geti(L, 3, i);
    const char *item = check_atom(L, lua_gettop(L));
    if (strcmp(item, "messages") == 0) luaL_argerror(L, 3, "the messages of other people's processes are not to be read");
    edr_etf_put_atom(items, item, strlen(item));
    lua_pop(L, 1);
  }
  edr_etf_put_nil(items);
  lua_createtable(L, pids->count < 65536 ? (int)pids->count : 65536, 0);
  target.list = lua_gettop(L);
  status = edr_relay_process_info(node, pids, items, deadline_ms, on_info, &target);
  edr_buf_deinit(items);
  if (target.raised) return lua_error(L);
  if (status == EDR_EBADARG) return edr_lua_refused(L, status, "the node refused these process_info items");
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_settop(L, target.list);
  return 1;
}

/*** Which of these processes sit suspended by `sys` now.
@function connection:suspended
@param pids
@param[opt=5000] timeout in ms
@return two pid sets: those that do, and those that hibernate, of which only sys:get_status tells; or nil, message, code
*/
static int node_suspended(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 3, DEFAULT_TIMEOUT_MS);
  edr_pids *pids, *suspended, *hibernating;
  edr_status status;
  lua_settop(L, 2);
  pids = check_local_pids(L, 2, node);
  suspended = edr_lua_new_pids(L);
  hibernating = edr_lua_new_pids(L);
  status = edr_relay_suspended(node, pids, deadline_ms, suspended, hibernating);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  edr_lua_pids_filled(L, suspended);
  return 2;
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

/*** How long to poll at most, in seconds: nil for no limit, 0 where something is here already, of which polling says nothing.
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
                                     {"await", node_await},
                                     {"cast", node_cast},
                                     {"send", node_send},
                                     {"receive", node_receive},
                                     {"monitor", node_monitor},
                                     {"demonitor", node_demonitor},
                                     {"processes", node_processes},
                                     {"process_info", node_process_info},
                                     {"sys", node_sys},
                                     {"suspended", node_suspended},
                                     {"sleep", node_sleep},
                                     {"pump", node_pump},
                                     {"pollfd", node_pollfd},
                                     {"events", node_events},
                                     {"timeout", node_timeout},
                                     {"dropped", node_dropped},
                                     {"keep_output", edr_lua_node_keep_output},
                                     {"output", edr_lua_node_output},
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
