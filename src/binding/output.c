/* What called functions print, in Lua: requests are handed over as terms, and lua/edeliver/relup/output.lua answers them. */
#include "binding.h"
#include "connection.h"

/*** From now on, requests to print are kept for `output`; or answered unseen, as from the start.
@function connection:keep_output
@tparam boolean keep
*/
int edr_lua_node_keep_output(lua_State *L) {
  edr_node_keep_output(edr_lua_check_node(L), lua_toboolean(L, 2));
  return 0;
}

/*** The oldest request to print that was kept, taken out. Whoever made it waits for an answer.
@function connection:output
@return `{io_request, From, ReplyAs, Request}`, or nil where there is none; or nil, message, code
*/
int edr_lua_node_output(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const char *problem = NULL;
  edr_buf *request = edr_lua_new_buf(L);
  edr_status status = edr_node_output(node, request);
  if (status == EDR_EAGAIN) return 0;
  if (status != EDR_OK) return edr_lua_refused(L, status, edr_status_text(status));
  status = edr_lua_decode(L, request->data, request->size, &problem);
  edr_buf_deinit(request);
  return status == EDR_OK ? 1 : edr_lua_refused(L, status, problem);
}

/*** Waits until there is a request to print.
@function connection:await_output
@param timeout in ms
@return true where there is one; or nil, message, code
*/
int edr_lua_node_await_output(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const edr_status status = edr_node_await_output(node, NULL, edr_lua_check_deadline(L, 2, 0));
  if (status != EDR_EAGAIN) return edr_lua_node_refused(L, node, status);
  lua_pushboolean(L, 1);
  return 1;
}
