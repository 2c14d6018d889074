/* core.open_private, core.open_plain, core.file_stat, core.private_folder: files that are opened without waiting, and
 * looked at by their open handle. Plain POSIX; knows nothing of what is in the files. */
#include "open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "private_file.h"
#include "support.h"

static int close_stream(lua_State *L) {
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

/* nil, message, code. */
static int refuse(lua_State *L, edr_status status, const edr_error *error) {
  const char *code = status == EDR_EBADARG ? "not_plain" : status == EDR_ENOTALLOWED ? "not_private" : "system";
  if (status == EDR_ESYSTEM && error->sys_errno == ENOENT) code = "missing";
  if (status == EDR_ESYSTEM && error->sys_errno == EEXIST) code = "exists";
  lua_pushnil(L);
  lua_pushstring(L, error->text);
  lua_pushstring(L, code);
  return 3;
}

/* The handle comes first: a Lua error cannot lose the descriptor. */
static int open_file(lua_State *L, int flags, const char *mode, bool is_private) {
  const char *path = luaL_checkstring(L, 1);
  luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
  struct stat about;
  edr_error error = {EDR_OK, 0, ""};
  edr_status status;
  int fd = -1;
  stream->f = NULL;
  stream->closef = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  /* What is emptied is emptied once it is known whose it is. */
  status = edr_file_open(path, flags & ~O_TRUNC, &fd, &about, &error);
  if (status != EDR_OK) return refuse(L, status, &error);
  if (is_private) status = edr_file_check_private(&about, path, &error);
  if (status == EDR_OK && (flags & O_TRUNC) != 0 && ftruncate(fd, 0) != 0)
    status = edr_error_set(&error, EDR_ESYSTEM, errno, "%.300s cannot be emptied: %s", path, strerror(errno));
  if (status == EDR_OK && (stream->f = fdopen(fd, mode)) == NULL)
    status = edr_error_set(&error, EDR_ESYSTEM, errno, "%.300s cannot be opened: %s", path, strerror(errno));
  if (status != EDR_OK) {
    close(fd);
    return refuse(L, status, &error);
  }
  stream->closef = close_stream;
  return 1;
}

/*** Opens a file that is nobody else's: a plain file, ours or root's, that others can neither read nor write. Programs
that we start do not inherit it.
@function open_private
@string path
@string[opt="r"] mode "r": to read, symbolic links are followed; "w" (emptied), "a", "a+" (read, too): made with mode
0600 where it is not there, links are not followed; "new": as "w", but it must not be there yet
@return an open Lua file; or nil, message and "missing", "exists", "not_plain" (a folder, a pipe, a device),
"not_private" (somebody else's, or others can use it), "system"
*/
int edr_lua_open_private(lua_State *L) {
  static const char *const names[] = {"r", "w", "a", "a+", "new", NULL};
  static const char *const modes[] = {"r", "w", "a", "a+", "w"};
  static const int flags[] = {O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
                              O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW,
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW};
  const int mode = luaL_checkoption(L, 2, "r", names);
  return open_file(L, flags[mode], modes[mode], true);
}

/*** Opens a plain file to read; it may belong to anybody. A folder, a pipe or a device is refused at once.
@function open_plain
@string path
@return an open Lua file; or nil, message and "missing", "not_plain", "system"
*/
int edr_lua_open_plain(lua_State *L) {
  return open_file(L, O_RDONLY, "r", false);
}

/*** Whose an open file is, and who else can use it.
@function file_stat
@param file an open Lua file
@treturn table `uid`, `mode` (permissions alone), `size`, `modified` (seconds), `plain`; `ours` (our user's or root's),
`private` (others can neither read nor write it), `trusted` (`ours`, and others cannot write it); or nil, message, code
*/
int edr_lua_file_stat(lua_State *L) {
  const luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  struct stat about;
  bool ours;
  if (stream->closef == NULL) luaL_argerror(L, 1, "the file is closed");
  if (fstat(fileno(stream->f), &about) != 0) return edr_lua_refused(L, EDR_ESYSTEM, strerror(errno));
  ours = about.st_uid == geteuid() || about.st_uid == 0;
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, (lua_Integer)about.st_uid);
  lua_setfield(L, -2, "uid");
  lua_pushinteger(L, (lua_Integer)(about.st_mode & 07777));
  lua_setfield(L, -2, "mode");
  lua_pushinteger(L, (lua_Integer)about.st_size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)about.st_mtime);
  lua_setfield(L, -2, "modified");
  lua_pushboolean(L, S_ISREG(about.st_mode));
  lua_setfield(L, -2, "plain");
  lua_pushboolean(L, ours);
  lua_setfield(L, -2, "ours");
  lua_pushboolean(L, (about.st_mode & (S_IRWXG | S_IRWXO)) == 0);
  lua_setfield(L, -2, "private");
  lua_pushboolean(L, ours && (about.st_mode & (S_IWGRP | S_IWOTH)) == 0);
  lua_setfield(L, -2, "trusted");
  return 1;
}

/*** Makes a folder that is nobody else's, and those above it that are missing, with mode 0700; it may be there already.
Symbolic links of other users are not followed on the way.
@function private_folder
@string path an absolute one
@return true; or nil, message and "not_private" (such a link; another user's folder, or one that others can write in),
"not_plain" (no folder, or no absolute path), "missing", "system"
*/
int edr_lua_private_folder(lua_State *L) {
  edr_error error = {EDR_OK, 0, ""};
  edr_status status = edr_folder_make_private(luaL_checkstring(L, 1), &error);
  if (status != EDR_OK) return refuse(L, status, &error);
  lua_pushboolean(L, 1);
  return 1;
}
