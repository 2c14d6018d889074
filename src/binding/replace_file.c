/* core.replace_file: a file's content replaced at once or not at all, its old content kept beside it.
 * Plain POSIX; knows nothing of terms and nodes. Text is read and written as bytes. */
#define _GNU_SOURCE /* realpath, mkostemp */
#include "replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>

#include "buf.h"
#include "support.h"

/* What must be given back in every case; a userdata, since Lua may raise. */
typedef struct replacement {
  char *path;      /* without symbolic links; from realpath */
  char *temporary; /* the new content, beside the file, until it takes the file's name */
  bool made_temporary, made_backup;
  const char *backup; /* Lua's */
  struct stat before;
  edr_buf old;
} replacement;

static int replacement_gc(lua_State *L) {
  replacement *job = lua_touserdata(L, 1);
  if (job->made_temporary) unlink(job->temporary);
  if (job->made_backup) unlink(job->backup);
  job->made_temporary = job->made_backup = false;
  free(job->temporary);
  free(job->path);
  job->temporary = job->path = NULL;
  edr_buf_deinit(&job->old);
  return 0;
}

/* nil, message, code; the code is "system", "exists" or "changed". */
static int fail(lua_State *L, const char *code, const char *what, const char *path, int error) {
  lua_pushnil(L);
  if (error != 0) {
    lua_pushfstring(L, "%s %s: %s", what, path, strerror(error));
  } else {
    lua_pushfstring(L, "%s %s", path, what);
  }
  lua_pushstring(L, code);
  return 3;
}

/* 0, or the errno. */
static int write_all(int fd, const char *text, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, text, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text += written;
    size -= (size_t)written;
  }
  return 0;
}

/* Fills a file that has just been made, gives it the old one's owner and mode, has it on disk, and closes it. Owner
 * first: a change of owner takes setuid bits away. 0, or the errno. */
static int fill(int fd, const char *text, size_t size, const struct stat *like) {
  int error = write_all(fd, text, size);
  struct stat now;
  if (error == 0 && fstat(fd, &now) != 0) error = errno;
  if (error == 0 && (now.st_uid != like->st_uid || now.st_gid != like->st_gid) &&
      fchown(fd, like->st_uid, like->st_gid) != 0) {
    error = errno;
  }
  if (error == 0 && fchmod(fd, like->st_mode & 07777) != 0) error = errno;
  if (error == 0 && fsync(fd) != 0) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  return error;
}

/* Reads the whole file into job->old and remembers what it was. 0, or the errno. */
static int read_old(replacement *job) {
  char chunk[65536];
  int fd = open(job->path, O_RDONLY | O_CLOEXEC);
  int error = 0;
  if (fd < 0) return errno;
  if (fstat(fd, &job->before) != 0) error = errno;
  while (error == 0) {
    ssize_t count = read(fd, chunk, sizeof chunk);
    if (count == 0) break;
    if (count < 0) {
      if (errno != EINTR) error = errno;
    } else {
      edr_buf_append(&job->old, chunk, (size_t)count);
      if (job->old.failed) error = ENOMEM;
    }
  }
  close(fd);
  return error;
}

static bool is_still(const replacement *job) {
  struct stat now;
  return stat(job->path, &now) == 0 && now.st_dev == job->before.st_dev && now.st_ino == job->before.st_ino &&
         now.st_size == job->before.st_size && now.st_mtim.tv_sec == job->before.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == job->before.st_mtim.tv_nsec;
}

/* Has the folder's new entries on disk. A file system that can't is no reason to fail: the rename has happened. */
static void sync_folder(const char *path) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
  int fd;
  if (length >= sizeof folder) return;
  memcpy(folder, slash == NULL ? "." : path, length);
  folder[length] = '\0';
  fd = open(folder, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

static int make_temporary(replacement *job, const char *text, size_t size) {
  size_t length = strlen(job->path);
  int fd;
  job->temporary = malloc(length + sizeof ".XXXXXX");
  if (job->temporary == NULL) return ENOMEM;
  memcpy(job->temporary, job->path, length);
  memcpy(job->temporary + length, ".XXXXXX", sizeof ".XXXXXX");
  fd = mkostemp(job->temporary, O_CLOEXEC);
  if (fd < 0) return errno;
  job->made_temporary = true;
  return fill(fd, text, size, &job->before);
}

static int make_backup(replacement *job) {
  int fd = open(job->backup, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  job->made_backup = true;
  return fill(fd, (const char *)job->old.data, job->old.size, &job->before);
}

/*** Replaces a file's content. Readers see the old file or the new one, never a part; after a crash, too. Mode, owner
and group stay; symbolic links are followed. The backup appears before the file changes, with the same mode and owner.
@function replace_file
@tparam string path an existing file
@tparam string text
@tparam string backup where the old content goes; must not exist yet
@tparam string expected what the file must still hold
@return true; or nil, message and "changed" (the file is not what was expected), "exists" (the backup), "system"
*/
int edr_lua_replace_file(lua_State *L) {
  size_t size, expected_size;
  const char *path = luaL_checkstring(L, 1);
  const char *text = luaL_checklstring(L, 2, &size);
  const char *backup = luaL_checkstring(L, 3);
  const char *expected = luaL_checklstring(L, 4, &expected_size);
  replacement *job = lua_newuserdatauv(L, sizeof *job, 0);
  int error;
  memset(job, 0, sizeof *job);
  edr_buf_init(&job->old);
  job->backup = backup;
  edr_lua_close_by(L, replacement_gc);

  job->path = realpath(path, NULL);
  if (job->path == NULL) return fail(L, "system", "cannot find", path, errno);
  error = read_old(job);
  if (error != 0) return fail(L, "system", "cannot read", path, error);
  if (job->old.size != expected_size || (expected_size > 0 && memcmp(job->old.data, expected, expected_size) != 0)) {
    return fail(L, "changed", "has changed since it was read", path, 0);
  }
  error = make_temporary(job, text, size);
  if (error != 0) return fail(L, "system", "cannot write the new content of", path, error);
  error = make_backup(job);
  if (error == EEXIST) return fail(L, "exists", "exists already", backup, 0);
  if (error != 0) return fail(L, "system", "cannot write the backup", backup, error);
  if (!is_still(job)) return fail(L, "changed", "has changed since it was read", path, 0);
  if (rename(job->temporary, job->path) != 0) return fail(L, "system", "cannot replace", path, errno);
  job->made_temporary = job->made_backup = false;
  sync_folder(job->path);
  lua_pushboolean(L, 1);
  return 1;
}
