/* Which nodes an epmd knows; see epmd_names.h. */
#include "epmd_names.h"

#include <lauxlib.h>

#include "epmd.h"
#include "support.h"

/*** What an epmd says of the nodes that it knows.
@function epmd_names
@string host
@tparam ?integer port by default ERL_EPMD_PORT, or 4369
@tparam[opt=1000] number timeout ms
@treturn string `name NAME at port PORT` and a newline for each; nothing of it is trusted
@return or nil, message, code
*/
int edr_lua_epmd_names(lua_State *L) {
  const char *host = luaL_checkstring(L, 1);
  const lua_Integer port = luaL_optinteger(L, 2, 0);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 3, 1000);
  edr_buf *text = edr_lua_new_buf(L);
  edr_status status;
  luaL_argcheck(L, port >= 0 && port <= UINT16_MAX, 2, "not a port");
  status = edr_epmd_names(host, (uint16_t)port, deadline_ms, text);
  if (status != EDR_OK) return edr_lua_refused(L, status, edr_status_text(status));
  lua_pushlstring(L, (const char *)text->data, text->size);
  return 1;
}
