/* What called functions print, in Lua: requests are handed over as terms, and lua/edeliver/relup/node/printing.lua
 * answers them. */
#include "output.h"

#include "connection.h"
#include "decode.h"
#include "encode.h"
#include "support.h"
#include "types.h"

/*** From now on, requests to print are kept for `output`; or answered unseen, as from the start.
@function connection:keep_output
@tparam boolean keep
*/
static int node_keep_output(lua_State *L) {
  edr_node_keep_output(edr_lua_check_node(L), lua_toboolean(L, 2));
  return 0;
}

/*** The oldest request to print that was kept, taken out. The process that made it waits for an answer.
@function connection:output
@return `{io_request, From, ReplyAs, Request}`, or nil where there is none for now; or nil, message, code where it
cannot be read, and has been answered here
*/
static int node_output(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const char *problem = NULL;
  edr_buf *request = edr_lua_new_buf(L);
  edr_status status = edr_node_output(node, request);
  if (status == EDR_EAGAIN) return 0;
  if (status != EDR_OK) return edr_lua_refused(L, status, edr_status_text(status));
  status = edr_lua_decode(L, request->data, request->size, &problem);
  if (status != EDR_OK)
    (void)edr_node_answer_unseen(node, request); /* else the process that prints would wait for ever */
  edr_buf_deinit(request);
  return status == EDR_OK ? 1 : edr_lua_refused(L, status, problem);
}

/*** Sends the answer to such a request, and waits for nothing: see edr_node_answer.
@function connection:answer
@param from a pid
@param reply a term
@return true, or nil, message, code
*/
static int node_answer(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  edr_pid pid;
  edr_buf *message;
  edr_status status;
  if (!edr_lua_to_pid(L, 2, &pid)) luaL_argerror(L, 2, "a pid expected");
  luaL_checkany(L, 3);
  message = edr_lua_new_buf(L);
  edr_lua_encode(L, 3, message);
  status = edr_node_answer(node, &pid, message);
  edr_buf_deinit(message);
  return edr_lua_node_done(L, node, status);
}

/*** Waits until `output` gives a request to print, or a call of `format` has ended.
@function connection:await_output
@param timeout in ms
@return true where it is so; or nil, message, code
*/
static int node_await_output(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const edr_status status = edr_node_await_output(node, NULL, edr_lua_check_deadline(L, 2, 0));
  if (status != EDR_EAGAIN) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
  return 1;
}

const luaL_Reg edr_lua_output_methods[] = {{"keep_output", node_keep_output},
                                           {"output", node_output},
                                           {"answer", node_answer},
                                           {"await_output", node_await_output},
                                           {NULL, NULL}};
