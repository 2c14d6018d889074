#include "archive.h"

#include <stdint.h>
#include <string.h>

#include "clock.h"
#include "gzip.h"
#include "md5.h"
#include "support.h"
#include "tar.h"

#define ARCHIVE "edeliver.relup.archive"

enum { ROOM = 65536 };

/* Its user values: the function that reads, and the bytes that it gave last. */
enum { READ = 1, BYTES = 2 };

typedef struct archive {
  edr_tar tar;
  edr_gzip gzip;
  bool is_open, is_gzip, has_begun;
  bool has_ended; /* the bytes that are read */
  bool is_over;   /* the archive */
  edr_status broken;
  const uint8_t *data; /* the rest of what was read last: in BYTES */
  size_t size;
  const uint8_t *plain; /* the rest of what is plain: in `room`, or in BYTES */
  size_t plain_size;
  uint64_t left;   /* of the entry's content */
  uint64_t offset; /* of what the function gave */
  edr_buf content;
  uint8_t room[ROOM];
} archive;

static int archive_gc(lua_State *L) {
  archive *self = luaL_checkudata(L, 1, ARCHIVE);
  if (!self->is_open) return 0;
  self->is_open = false;
  edr_tar_deinit(&self->tar);
  edr_gzip_deinit(&self->gzip);
  edr_buf_deinit(&self->content);
  return 0;
}

/* nil, message with the offset, code. */
static int refuse(lua_State *L, archive *self, edr_status status, const char *problem, uint64_t offset,
                  const char *of) {
  self->broken = status;
  lua_pushnil(L);
  lua_pushfstring(L, "%s, at byte %I%s", problem == NULL ? edr_status_text(status) : problem, (LUAI_UACINT)offset, of);
  lua_pushstring(L, edr_status_name(status));
  return 3;
}

/* Calls the function for more bytes; false at their end. Raises what it raises. */
static bool read_more(lua_State *L, archive *self) {
  size_t size;
  const char *bytes;
  lua_getiuservalue(L, 1, READ);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  bytes = luaL_checklstring(L, -1, &size);
  self->data = (const uint8_t *)bytes;
  self->size = size;
  self->offset += size;
  lua_setiuservalue(L, 1, BYTES);
  return true;
}

static edr_status inflate_more(archive *self) {
  size_t used, made;
  edr_status status = edr_gzip_inflate(&self->gzip, self->data, self->size, &used, self->room, ROOM, &made);
  if (status != EDR_OK) return status;
  self->data += used;
  self->size -= used;
  self->plain = self->room;
  self->plain_size = made;
  return EDR_OK;
}

/* Has plain bytes at hand, where there are any: `plain_size` is 0 at the end. */
static edr_status fill(lua_State *L, archive *self) {
  while (self->plain_size == 0 && self->broken == EDR_OK) {
    edr_status status;
    if (self->size == 0 && !self->has_ended && !read_more(L, self)) self->has_ended = true;
    if (!self->has_begun && self->size > 0) {
      self->has_begun = true;
      self->is_gzip = edr_gzip_begins(self->data, self->size);
    }
    if (self->is_gzip) {
      status = inflate_more(self);
      if (status != EDR_OK) return status;
    } else {
      self->plain = self->data;
      self->plain_size = self->size;
      self->size = 0;
    }
    if (self->plain_size == 0 && self->has_ended && self->size == 0) return EDR_OK;
  }
  return EDR_OK;
}

/* The next event, or its failure as results of Lua's, whose number is then not 0. */
static int next_event(lua_State *L, archive *self, edr_tar_event *event, edr_tar_entry *entry, const uint8_t **content,
                      size_t *content_size) {
  for (;;) {
    size_t used = 0;
    edr_status status = fill(L, self);
    if (status != EDR_OK)
      return refuse(L, self, status, self->gzip.problem, self->gzip.used, " of the compressed file");
    if (self->plain_size == 0) {
      if (self->is_gzip && !edr_gzip_is_whole(&self->gzip))
        return refuse(L, self, EDR_EPROTOCOL, "the compressed file is cut short", self->offset, "");
      return refuse(L, self, EDR_EPROTOCOL, "the archive is cut short", self->tar.offset, "");
    }
    status = edr_tar_next(&self->tar, self->plain, self->plain_size, &used, event, entry, content_size);
    if (status != EDR_OK && status != EDR_EAGAIN)
      return refuse(L, self, status, self->tar.problem, self->tar.offset, " of the archive");
    self->plain += used;
    self->plain_size -= used;
    if (status == EDR_OK) {
      *content = self->plain - *content_size;
      return 0;
    }
  }
}

/* After the end of the archive: what is compressed has to be whole, too. */
static int finish(lua_State *L, archive *self) {
  for (;;) {
    edr_status status;
    self->plain_size = 0;
    status = fill(L, self);
    if (status != EDR_OK)
      return refuse(L, self, status, self->gzip.problem, self->gzip.used, " of the compressed file");
    if (self->plain_size == 0) break;
  }
  if (self->is_gzip && !edr_gzip_is_whole(&self->gzip))
    return refuse(L, self, EDR_EPROTOCOL, "the compressed file is cut short", self->offset, "");
  lua_pushnil(L);
  return 1;
}

static archive *check_open(lua_State *L) {
  archive *self = luaL_checkudata(L, 1, ARCHIVE);
  if (!self->is_open) luaL_argerror(L, 1, "the archive is closed");
  return self;
}

static int push_entry(lua_State *L, const edr_tar_entry *entry) {
  static const char *const kinds[] = {"file", "folder", "link", "hard_link"};
  lua_createtable(L, 0, 5);
  lua_pushstring(L, entry->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, kinds[entry->kind]);
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, (lua_Integer)entry->size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)entry->mode);
  lua_setfield(L, -2, "mode");
  if (entry->target[0] != '\0') {
    lua_pushstring(L, entry->target);
    lua_setfield(L, -2, "target");
  }
  return 1;
}

/*** The next entry; what was not read of the last one is passed over.
@function archive:next
@treturn[1] table `name`, `kind` ("file", "folder", "link", "hard_link"), `size`, `mode`, of links `target`
@return[2] nil at the end of the archive
@return[3] nil, message with the offset, code
*/
static int archive_next(lua_State *L) {
  archive *self = check_open(L);
  edr_tar_event event;
  edr_tar_entry entry;
  const uint8_t *content;
  size_t size = 0;

  if (self->broken != EDR_OK) return edr_lua_refused(L, self->broken, "the archive is damaged");
  if (self->is_over) {
    lua_pushnil(L);
    return 1;
  }
  for (;;) {
    int failed = next_event(L, self, &event, &entry, &content, &size);
    if (failed != 0) return failed;
    if (event == EDR_TAR_END) {
      failed = finish(L, self);
      self->is_over = true;
      return failed;
    }
    if (event == EDR_TAR_ENTRY) {
      self->left = entry.size;
      return push_entry(L, &entry);
    }
    self->left -= size;
  }
}

/*** All of the content of the entry that `next` gave last.
@function archive:content
@return a string; or nil, message with the offset, code
*/
static int archive_content(lua_State *L) {
  archive *self = check_open(L);
  edr_tar_event event;
  edr_tar_entry entry;
  const uint8_t *content = NULL;
  size_t size = 0;

  edr_buf_clear(&self->content);
  while (self->left > 0) {
    const int failed = next_event(L, self, &event, &entry, &content, &size);
    if (failed != 0) return failed;
    edr_buf_append(&self->content, content, size);
    if (self->content.failed) return refuse(L, self, EDR_ENOMEM, NULL, self->tar.offset, "");
    self->left -= size;
  }
  lua_pushlstring(L, (const char *)self->content.data, self->content.size);
  if (self->content.capacity > (size_t)16 << 20) edr_buf_deinit(&self->content);
  return 1;
}

/*** An archive (tar, gzipped or not), read once from its beginning to its end. No name of it leads out of the folder
that it would be unpacked to. What a gzipped one may become is 16 GiB at most.
@function archive
@func read gives the next bytes, or nil at their end
@return an archive with `next`, `content` and `close`
*/
int edr_lua_archive(lua_State *L) {
  archive *self;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  self = lua_newuserdatauv(L, sizeof *self, 2);
  memset(self, 0, offsetof(archive, room));
  edr_buf_init(&self->content);
  edr_tar_init(&self->tar, NULL, (uint64_t)edr_clock_now_us() * 0x9E3779B97F4A7C15u ^ (uint64_t)(uintptr_t)self);
  self->is_open = true;
  luaL_setmetatable(L, ARCHIVE);
  if (edr_gzip_init(&self->gzip, EDR_GZIP, (uint64_t)1 << 34) != EDR_OK)
    return edr_lua_refused(L, EDR_ENOMEM, edr_status_text(EDR_ENOMEM));
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, READ);
  return 1;
}

/*** The md5 of these bytes.
@function md5
@string bytes
@treturn string 32 hexadecimal digits
*/
int edr_lua_md5(lua_State *L) {
  uint8_t digest[EDR_MD5_SIZE];
  edr_md5 md5;
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  edr_md5_init(&md5);
  edr_md5_add(&md5, bytes, size);
  edr_md5_end(&md5, digest);
  edr_lua_push_hex(L, digest, sizeof digest);
  return 1;
}

/*** These bytes as a zlib stream, packed as quickly as can be: `zlib:uncompress` on a node undoes it.
@function deflate
@string bytes
@treturn string; or nil, message, "nomem"
*/
int edr_lua_deflate(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  edr_buf *packed = edr_lua_new_buf(L);
  edr_status status = edr_gzip_pack((const uint8_t *)bytes, size, packed);
  if (status != EDR_OK) return edr_lua_refused(L, status, edr_status_text(status));
  lua_pushlstring(L, (const char *)packed->data, packed->size);
  edr_buf_deinit(packed);
  return 1;
}

void edr_lua_archive_setup(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"next", archive_next}, {"content", archive_content}, {"close", archive_gc}, {NULL, NULL}};
  edr_lua_new_class(L, ARCHIVE, archive_gc, methods);
}
