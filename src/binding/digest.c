#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beam.h"
#include "beam_file.h"
#include "buf.h"
#include "hash.h"
#include "support.h"

enum { MAX_SIZE = 1 << 30, MAX_EXPANDED = 64 << 20 };

/* Whether the attributes of a module name a behaviour: most have none, and need no further look. Their bytes are not
 * compressed. */
static bool may_have_behaviour(const edr_beam_bytes *attributes) {
  static const char word[] = "behavio"; /* "behaviour" or "behavior" */
  const size_t length = sizeof word - 1;
  for (size_t at = 0; at + length <= attributes->size; at++)
    if (attributes->data[at] == 'b' && memcmp(attributes->data + at, word, length) == 0) return true;
  return false;
}

/* What a file's bytes are: size and hash; and of a BEAM file, whether it is whole. */
static int push_digest(lua_State *L, const uint8_t *data, size_t size, bool is_beam) {
  bool behaves = false;
  if (is_beam) {
    edr_beam beam;
    edr_status status = edr_beam_open(&beam, data, size, MAX_EXPANDED);
    if (status != EDR_OK) return edr_lua_beam_refused(L, &beam, status);
    behaves = may_have_behaviour(&beam.chunks[EDR_BEAM_ATTR]);
    edr_beam_close(&beam);
  }
  lua_pushinteger(L, (lua_Integer)size);
  lua_pushinteger(L, (lua_Integer)edr_hash(data, size, 0));
  lua_pushboolean(L, behaves);
  return 3;
}

/*** What tells these bytes from others.
@function digest
@string bytes
@bool[opt] is_beam whether they must be a compiled module's, whole
@treturn[1] integer their size
@treturn[1] integer a hash of 64 bits
@treturn[1] boolean whether a module may have a behaviour
@return[2] nil, message, code
*/
int edr_lua_digest(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  return push_digest(L, (const uint8_t *)bytes, size, lua_toboolean(L, 2));
}

static int refused(lua_State *L, const char *path, int error) {
  lua_pushnil(L);
  lua_pushfstring(L, "cannot read %s: %s", path, strerror(error));
  lua_pushstring(L, error == ENOENT ? "missing" : "system");
  return 3;
}

/* Appends the file's bytes. 0, or the errno. */
static int read_whole(int fd, size_t size, edr_buf *out) {
  if (edr_buf_reserve(out, size + 1) != EDR_OK) return ENOMEM;
  for (;;) { /* it may have grown since it was looked at: that is no file to compare */
    const ssize_t count = read(fd, out->data + out->size, size + 1 - out->size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return out->size == size ? 0 : EIO;
    out->size += (size_t)count;
    if (out->size > size) return EIO;
  }
}

/*** The same of a file. It must be a plain one, and no link.
@function digest_file
@string path
@bool[opt] is_beam whether it must be a compiled module's, whole
@treturn[1] integer its size
@treturn[1] integer a hash of 64 bits
@treturn[1] boolean whether a module may have a behaviour
@return[2] nil, message, code
*/
int edr_lua_digest_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const bool is_beam = lua_toboolean(L, 2);
  edr_buf *bytes = edr_lua_new_buf(L);
  struct stat about;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW), error = 0, count;

  if (fd < 0) return refused(L, path, errno);
  if (fstat(fd, &about) != 0) error = errno;
  if (error == 0 && (!S_ISREG(about.st_mode) || about.st_size > MAX_SIZE))
    error = S_ISREG(about.st_mode) ? EFBIG : EINVAL;
  if (error == 0) error = read_whole(fd, (size_t)about.st_size, bytes);
  close(fd);
  if (error != 0) return refused(L, path, error);
  count = push_digest(L, bytes->data, bytes->size, is_beam);
  edr_buf_deinit(bytes);
  return count;
}
