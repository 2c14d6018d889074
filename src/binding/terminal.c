/* The terminal that the program talks to; see terminal.h. Standard output must be one: whoever calls has looked. */
#include "terminal.h"

#include <lauxlib.h>
#include <unistd.h>

#include "spinner.h"

/*** Shows a line on standard output, a terminal, that moves while we wait, or takes it away. What was printed must be
flushed.
@function spinner
@tparam ?string text nothing in it may move the cursor; nil: there is none any more
*/
int edr_lua_spinner(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    edr_spinner_hide();
  } else {
    (void)edr_spinner_show(STDOUT_FILENO, luaL_checkstring(L, 1));
  }
  return 0;
}

/*** How many columns the terminal at standard output has.
@function columns
@treturn ?integer nil where there is none
*/
int edr_lua_columns(lua_State *L) {
  const int columns = edr_spinner_columns(STDOUT_FILENO);
  if (columns <= 0) return 0;
  lua_pushinteger(L, columns);
  return 1;
}
