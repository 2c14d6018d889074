/* Calls, acts and casts of a connection, in Lua. */
#include "calls.h"

#include "clock.h"
#include "connection.h"
#include "decode.h"
#include "encode.h"
#include "support.h"
#include "types.h"

#define CALL "edeliver.relup.call"

typedef struct call_box {
  edr_call *call; /* its user value keeps the node alive */
} call_box;

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
  bool fenced;

  if (box->call == NULL) return luaL_error(L, "this call's answer was taken already");
  lua_getiuservalue(L, index, 1);
  if (!lua_rawequal(L, 1, -1)) return luaL_argerror(L, index, "a call of another connection");
  lua_pop(L, 1);
  status = output ? edr_node_await_output(node, box->call, deadline_ms) : edr_node_await(node, box->call, deadline_ms);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  outcome = edr_call_outcome(box->call);
  fenced = edr_call_was_fenced(box->call);
  value = edr_call_value(box->call);
  status = edr_lua_decode(L, value.data, value.size, &problem);
  edr_call_free(box->call);
  box->call = NULL;
  if (status != EDR_OK) return edr_lua_refused(L, status, problem);
  if (outcome == EDR_OUTCOME_RETURN) return 1;
  if (fenced) return edr_lua_refused(L, EDR_EFENCED, edr_status_text(EDR_EFENCED));
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

/*** From now on acts, suspends and resumes among them, first make `gen_server:call(Gate, Request, infinity)` in their
own process, and are refused ("fenced") where that fails.
@function connection:fence
@param[opt] gate a pid; nil: nobody's leave is needed
@param[opt] request a term
@return true, or nil, message, code
*/
static int node_fence(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  edr_pid gate;
  edr_buf *request;
  edr_status status;
  lua_settop(L, 3);
  if (!lua_isnil(L, 2) && !edr_lua_to_pid(L, 2, &gate)) luaL_argerror(L, 2, "a pid expected");
  request = edr_lua_new_buf(L);
  if (!lua_isnil(L, 2)) edr_lua_encode(L, 3, request);
  status = edr_node_fence(node, lua_isnil(L, 2) ? NULL : &gate, request);
  edr_buf_deinit(request);
  return edr_lua_node_done(L, node, status);
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
@return true: what is asked for from now on comes after them; or nil, message, code
*/
static int node_end_acts(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const edr_status status = edr_node_end_acts(node, edr_lua_check_deadline(L, 2, EDR_LUA_TIMEOUT_MS));
  if (status != EDR_OK) return edr_lua_refused(L, status, edr_status_text(status));
  lua_pushboolean(L, 1);
  return 1;
}

/*** Waits for a call that was started by `request`. After a timeout, wait again if you like.
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
  return edr_lua_node_done(L, node, status);
}

const luaL_Reg edr_lua_call_methods[] = {{"call", node_call},
                                         {"request", node_request},
                                         {"format", node_format},
                                         {"await", node_await},
                                         {"has_ended", node_has_ended},
                                         {"give_up", node_give_up},
                                         {"act", node_act},
                                         {"end_acts", node_end_acts},
                                         {"cast", node_cast},
                                         {"fence", node_fence},
                                         {NULL, NULL}};

void edr_lua_calls_setup(lua_State *L) {
  luaL_newmetatable(L, CALL);
  lua_pushcfunction(L, call_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
