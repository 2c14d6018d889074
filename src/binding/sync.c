/* core.sync(file): what was written to a Lua file reaches the disk before we go on. Knows nothing of what is written.
 */
#define _XOPEN_SOURCE 700 /* fsync */
#include "sync.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "support.h"

/*** Writes out what a file has buffered, to the operating system and from there to the disk: it then outlives this
program and a loss of power. A device that has no disk behind it (a pipe, a terminal) is only flushed.
@function sync
@param file an open Lua file
@return true, or nil, message, code
*/
int edr_lua_sync(lua_State *L) {
  const luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  int failed;
  if (stream->closef == NULL) luaL_argerror(L, 1, "the file is closed");
  failed = fflush(stream->f);
  if (failed == 0) {
    failed = fsync(fileno(stream->f));
    if (failed != 0 && (errno == EINVAL || errno == ENOTSUP || errno == EROFS)) failed = 0;
  }
  if (failed != 0) return edr_lua_refused(L, EDR_ESYSTEM, strerror(errno));
  lua_pushboolean(L, 1);
  return 1;
}
