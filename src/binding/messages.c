/* Messages and monitors of a connection, in Lua. */
#include "messages.h"

#include "clock.h"
#include "connection.h"
#include "decode.h"
#include "encode.h"
#include "support.h"
#include "types.h"

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
  return edr_lua_node_done(L, node, status);
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
  return edr_lua_node_done(L, node, status);
}

/*** Messages that were dropped because the mailbox was full.
@function connection:dropped
*/
static int node_dropped(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)edr_node_dropped(edr_lua_check_node(L)));
  return 1;
}

const luaL_Reg edr_lua_message_methods[] = {{"send", node_send},       {"receive", node_receive},
                                            {"monitor", node_monitor}, {"demonitor", node_demonitor},
                                            {"dropped", node_dropped}, {NULL, NULL}};
