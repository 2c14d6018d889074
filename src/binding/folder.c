#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

static int folder_gc(lua_State *L) {
  DIR **folder = lua_touserdata(L, 1);
  if (*folder != NULL) closedir(*folder);
  *folder = NULL;
  return 0;
}

/* An open folder that is closed when Lua raises. */
static DIR **push_box(lua_State *L) {
  DIR **folder = lua_newuserdatauv(L, sizeof(DIR *), 0) /* NOLINT(bugprone-sizeof-expression) */;
  *folder = NULL;
  edr_lua_close_by(L, folder_gc);
  return folder;
}

static const char *kind_of(const struct stat *about) {
  if (S_ISREG(about->st_mode)) return "file";
  if (S_ISDIR(about->st_mode)) return "folder";
  return S_ISLNK(about->st_mode) ? "link" : "other";
}

static int refused(lua_State *L, const char *path, int error) {
  lua_pushnil(L);
  lua_pushfstring(L, "cannot list the folder %s: %s", path, strerror(error));
  lua_pushstring(L, error == ENOENT ? "missing" : error == ENOTDIR ? "not_plain" : "system");
  return 3;
}

/*** What lies in a folder, in no order, but for "." and "..".
@function list_folder
@string path
@treturn table from each name to "file", "folder", "link" (not followed) or "other"; or nil, message and "missing",
"not_plain", "system"
*/
int edr_lua_list_folder(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  DIR **folder = push_box(L);
  struct dirent *entry;
  struct stat about;

  *folder = opendir(path);
  if (*folder == NULL) return refused(L, path, errno);
  lua_newtable(L);
  while (errno = 0, (entry = readdir(*folder)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(dirfd(*folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue; /* gone since */
      return refused(L, path, errno);
    }
    lua_pushstring(L, kind_of(&about));
    lua_setfield(L, -2, entry->d_name);
  }
  return errno == 0 ? 1 : refused(L, path, errno);
}

/*** Where a symbolic link leads, as it is written in it.
@function read_link
@string path
@treturn string; or nil, message, "system"
*/
int edr_lua_read_link(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char target[PATH_MAX];
  const ssize_t size = readlink(path, target, sizeof target);
  if (size < 0) {
    lua_pushnil(L);
    lua_pushfstring(L, "cannot read the link %s: %s", path, strerror(errno));
    lua_pushstring(L, "system");
    return 3;
  }
  lua_pushlstring(L, target, (size_t)size);
  return 1;
}
