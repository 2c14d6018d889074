#include "tar.h"

#include <stdlib.h>
#include <string.h>

const edr_tar_limits edr_tar_default_limits = {
    .max_file = (uint64_t)1 << 30, .max_entries = 500000, .max_metadata = (size_t)1 << 20};

enum { AT_HEADER, IN_CONTENT, IN_META, IN_PADDING, AT_END, BROKEN };

/* Where a header's fields lie. */
enum { NAME = 0, MODE = 100, SIZE = 124, CHECKSUM = 148, TYPE = 156, LINK = 157, MAGIC = 257, PREFIX = 345 };

void edr_tar_init(edr_tar *tar, const edr_tar_limits *limits, uint64_t seed) {
  memset(tar, 0, sizeof *tar);
  tar->limits = limits == NULL ? edr_tar_default_limits : *limits;
  tar->seed = seed;
}

void edr_tar_deinit(edr_tar *tar) {
  edr_buf_deinit(&tar->meta);
  edr_buf_deinit(&tar->path);
  edr_buf_deinit(&tar->link);
  edr_buf_deinit(&tar->names);
  free(tar->known);
  tar->known = NULL;
  tar->known_count = tar->known_capacity = 0;
  tar->state = BROKEN;
}

static edr_status fail(edr_tar *tar, edr_status status, const char *problem) {
  tar->state = BROKEN;
  tar->problem = problem;
  return status;
}

/* ---- names that were seen: an open hash table ---- */

static uint64_t hash_name(const edr_tar *tar, const char *name, size_t size) {
  uint64_t hash = 14695981039346656037u ^ tar->seed;
  for (size_t i = 0; i < size; i++) {
    hash = (hash ^ (uint8_t)name[i]) * 1099511628211u;
    hash ^= hash >> 29;
  }
  return hash ^ tar->seed >> 7;
}

/* The slot of this name, or the free one where it belongs. The table is never full. */
static edr_tar_known *find(const edr_tar *tar, const char *name, size_t size) {
  const uint64_t hash = hash_name(tar, name, size);
  size_t at = (size_t)hash & (tar->known_capacity - 1);
  for (;; at = (at + 1) & (tar->known_capacity - 1)) {
    edr_tar_known *slot = &tar->known[at];
    const char *known;
    if (slot->name == 0) return slot;
    known = (const char *)tar->names.data + slot->name;
    if (slot->hash == hash && strncmp(known, name, size) == 0 && known[size] == '\0') return slot;
  }
}

static edr_status grow(edr_tar *tar) {
  const size_t capacity = tar->known_capacity == 0 ? 256 : tar->known_capacity * 2;
  edr_tar_known *old = tar->known, *known;
  const size_t old_capacity = tar->known_capacity;

  if (tar->known_count * 2 < tar->known_capacity) return EDR_OK;
  known = calloc(capacity, sizeof *known);
  if (known == NULL) return fail(tar, EDR_ENOMEM, "out of memory");
  tar->known = known;
  tar->known_capacity = capacity;
  for (size_t i = 0; i < old_capacity; i++) {
    size_t at = (size_t)old[i].hash & (capacity - 1);
    if (old[i].name == 0) continue;
    while (known[at].name != 0) at = (at + 1) & (capacity - 1);
    known[at] = old[i];
  }
  free(old);
  return EDR_OK;
}

static edr_status remember(edr_tar *tar, const char *name, size_t size, edr_tar_kind kind) {
  edr_status status = grow(tar);
  edr_tar_known *slot;

  if (status != EDR_OK) return status;
  if (tar->known_count >= tar->limits.max_entries) return fail(tar, EDR_ELIMIT, "the archive has too many entries");
  slot = find(tar, name, size);
  if (tar->names.size == 0) edr_buf_put_u8(&tar->names, 0); /* so that no name has the offset 0 */
  if (tar->names.failed || edr_buf_reserve(&tar->names, size + 1) != EDR_OK)
    return fail(tar, EDR_ENOMEM, "out of memory");
  *slot = (edr_tar_known){.hash = hash_name(tar, name, size), .name = tar->names.size, .kind = kind};
  edr_buf_append(&tar->names, name, size);
  edr_buf_put_u8(&tar->names, 0);
  tar->known_count++;
  return EDR_OK;
}

static const edr_tar_known *lookup(const edr_tar *tar, const char *name, size_t size) {
  const edr_tar_known *slot = tar->known_capacity == 0 ? NULL : find(tar, name, size);
  return slot == NULL || slot->name == 0 ? NULL : slot;
}

/* ---- a name's own sanity ---- */

/* Takes "." and empty parts out of the terminated name, in place. It comes out empty for the folder itself. */
static edr_status clean_name(edr_tar *tar, edr_buf *name) {
  char *text = (char *)name->data;
  size_t used = 0;

  if (text[0] == '/') return fail(tar, EDR_EPROTOCOL, "an absolute name");
  for (char *part = text; part != NULL && *part != '\0';) {
    char *slash = strchr(part, '/');
    const size_t size = slash == NULL ? strlen(part) : (size_t)(slash - part);
    if (size == 2 && part[0] == '.' && part[1] == '.')
      return fail(tar, EDR_EPROTOCOL, "a name that leaves the archive");
    if (size > 0 && !(size == 1 && part[0] == '.')) {
      if (used > 0) text[used++] = '/';
      memmove(text + used, part, size);
      used += size;
    }
    part = slash == NULL ? NULL : slash + 1;
  }
  text[used] = '\0';
  name->size = used + 1;
  return EDR_OK;
}

/* Every folder on the way to this name is one, or becomes one. */
static edr_status enter_folders(edr_tar *tar, const char *name) {
  for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    const size_t size = (size_t)(slash - name);
    const edr_tar_known *known = lookup(tar, name, size);
    edr_status status;
    if (known == NULL && (status = remember(tar, name, size, EDR_TAR_FOLDER)) != EDR_OK) return status;
    if (known != NULL && known->kind == EDR_TAR_SYMLINK)
      return fail(tar, EDR_EPROTOCOL, "a name that leads through a link");
    if (known != NULL && known->kind != EDR_TAR_FOLDER)
      return fail(tar, EDR_EPROTOCOL, "a name that leads through a file");
  }
  return EDR_OK;
}

/* Only at its front may a link's target climb, and no further than the link lies deep: what is behind a name may be
 * another link, and to climb from there would lead elsewhere than it looks. */
static bool stays_inside(const char *name, const char *target) {
  size_t depth = 0;
  bool at_front = true;

  if (target[0] == '/' || target[0] == '\0') return false;
  for (; *name != '\0'; name++) depth += *name == '/';
  for (const char *part = target; part != NULL;) {
    const char *slash = strchr(part, '/');
    const size_t size = slash == NULL ? strlen(part) : (size_t)(slash - part);
    if (size == 2 && part[0] == '.' && part[1] == '.') {
      if (!at_front || depth-- == 0) return false;
    } else if (size > 0 && !(size == 1 && part[0] == '.')) {
      at_front = false;
    }
    part = slash == NULL ? NULL : slash + 1;
  }
  return true;
}

/* Whether an entry of this name and kind may be, and if so, notes it. */
static edr_status admit(edr_tar *tar, const char *name, const char *target, edr_tar_kind kind) {
  const size_t size = strlen(name);
  const edr_tar_known *known;
  edr_status status = enter_folders(tar, name);

  if (status != EDR_OK) return status;
  known = lookup(tar, name, size);
  if (known != NULL && known->kind == EDR_TAR_FOLDER && kind == EDR_TAR_FOLDER) return EDR_OK;
  if (known != NULL) return fail(tar, EDR_EPROTOCOL, "a name that is there twice");
  if (kind == EDR_TAR_SYMLINK && !stays_inside(name, target))
    return fail(tar, EDR_EPROTOCOL, "a link that leads out of the archive");
  if (kind == EDR_TAR_HARD_LINK) {
    const edr_tar_known *other = lookup(tar, target, strlen(target));
    if (other == NULL || other->kind != EDR_TAR_FILE)
      return fail(tar, EDR_EPROTOCOL, "a hard link to what is no file before it");
  }
  return remember(tar, name, size, kind);
}

/* ---- headers ---- */

static bool is_zero(const uint8_t *block) {
  uint8_t seen = 0;
  for (size_t i = 0; i < EDR_TAR_BLOCK; i++) seen |= block[i];
  return seen == 0;
}

/* An octal number, or GNU's binary form; false where it is neither, or does not fit. */
static bool read_number(const uint8_t *field, size_t size, uint64_t *out_value) {
  uint64_t value = 0;
  size_t i = 0;

  if (field[0] == 0x80) {
    for (i = 1; i < size; i++) {
      if (value >> 56 != 0) return false;
      value = value << 8 | field[i];
    }
    *out_value = value;
    return true;
  }
  while (i < size && field[i] == ' ') i++;
  for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) value = value << 3 | (uint64_t)(field[i] - '0');
  if (i < size && field[i] != ' ' && field[i] != '\0') return false;
  *out_value = value;
  return true;
}

/* Some old programs summed signed bytes. */
static bool checksum_is_right(const uint8_t *block) {
  uint64_t said;
  int64_t plain = 0, with_signs = 0;

  if (!read_number(block + CHECKSUM, 8, &said)) return false;
  for (size_t i = 0; i < EDR_TAR_BLOCK; i++) {
    const uint8_t byte = i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : block[i];
    plain += byte;
    with_signs += byte < 128 ? byte : (int64_t)byte - 256;
  }
  return said == (uint64_t)plain || (with_signs >= 0 && said == (uint64_t)with_signs);
}

static size_t text_size(const uint8_t *field, size_t most) {
  const uint8_t *end = memchr(field, 0, most);
  return end == NULL ? most : (size_t)(end - field);
}

/* Gives a name of its own end; what comes from a header already goes before the block's fields. */
static edr_status finish_name(edr_tar *tar, edr_buf *name, size_t field, size_t field_size, bool has_prefix) {
  const uint8_t *block = tar->block;

  if (name->size == 0) {
    const size_t prefix_size = has_prefix ? text_size(block + PREFIX, 155) : 0;
    edr_buf_append(name, block + PREFIX, prefix_size);
    if (prefix_size > 0) edr_buf_put_u8(name, '/');
    edr_buf_append(name, block + field, text_size(block + field, field_size));
  }
  edr_buf_put_u8(name, 0);
  if (name->failed) return fail(tar, EDR_ENOMEM, "out of memory");
  if (name->size - 1 > EDR_TAR_MAX_NAME) return fail(tar, EDR_ELIMIT, "a name that is too long");
  if (memchr(name->data, 0, name->size - 1) != NULL) return fail(tar, EDR_EPROTOCOL, "a name with a zero byte in it");
  return EDR_OK;
}

static edr_status kind_of(edr_tar *tar, uint8_t type, edr_tar_kind *out_kind) {
  switch (type) {
  case '0':
  case '\0':
  case '7':
    *out_kind = EDR_TAR_FILE;
    return EDR_OK;
  case '1':
    *out_kind = EDR_TAR_HARD_LINK;
    return EDR_OK;
  case '2':
    *out_kind = EDR_TAR_SYMLINK;
    return EDR_OK;
  case '5':
    *out_kind = EDR_TAR_FOLDER;
    return EDR_OK;
  default:
    return fail(tar, EDR_ENOTSUP, "an entry that is no file, folder or link");
  }
}

static void expect(edr_tar *tar, int state, uint64_t size) {
  tar->left = size;
  tar->padding = (EDR_TAR_BLOCK - size % EDR_TAR_BLOCK) % EDR_TAR_BLOCK;
  tar->state = state;
}

static void forget_headers(edr_tar *tar) {
  edr_buf_clear(&tar->path);
  edr_buf_clear(&tar->link);
  tar->has_size = false;
  tar->was_given = false;
}

/* `out_has_entry` is false for the archive's own folder. */
static edr_status begin_entry(edr_tar *tar, uint64_t size, bool *out_has_entry, edr_tar_entry *out_entry) {
  const bool is_ustar = memcmp(tar->block + MAGIC, "ustar\0", 6) == 0;
  edr_tar_entry entry = {.kind = EDR_TAR_FILE};
  uint64_t mode = 0;
  edr_status status = kind_of(tar, tar->block[TYPE], &entry.kind);

  if (status == EDR_OK) status = finish_name(tar, &tar->path, NAME, 100, is_ustar);
  if (status == EDR_OK) status = finish_name(tar, &tar->link, LINK, 100, false);
  if (status != EDR_OK) return status;
  /* Before ustar, a folder was a file whose name ends in a slash. */
  if (entry.kind == EDR_TAR_FILE && tar->path.size > 1 && tar->path.data[tar->path.size - 2] == '/')
    entry.kind = EDR_TAR_FOLDER;
  status = clean_name(tar, &tar->path);
  if (status == EDR_OK && entry.kind == EDR_TAR_HARD_LINK) status = clean_name(tar, &tar->link);
  if (status != EDR_OK) return status;
  entry.name = (const char *)tar->path.data;
  entry.target = entry.kind == EDR_TAR_SYMLINK || entry.kind == EDR_TAR_HARD_LINK ? (const char *)tar->link.data : "";
  entry.size = entry.kind == EDR_TAR_FILE ? (tar->has_size ? tar->size : size) : 0;
  if (entry.size > tar->limits.max_file) return fail(tar, EDR_ELIMIT, "a file that is too large");
  if (!read_number(tar->block + MODE, 8, &mode)) return fail(tar, EDR_EPROTOCOL, "a damaged header");
  entry.mode = (uint32_t)(mode & 07777);
  tar->was_given = true;
  *out_has_entry = entry.name[0] != '\0';
  if (!*out_has_entry && entry.kind != EDR_TAR_FOLDER) return fail(tar, EDR_EPROTOCOL, "an entry without a name");
  if (*out_has_entry && (status = admit(tar, entry.name, entry.target, entry.kind)) != EDR_OK) return status;
  expect(tar, entry.size > 0 ? IN_CONTENT : AT_HEADER, entry.size);
  *out_entry = entry;
  return EDR_OK;
}

/* A block that begins an entry, begins a header for the next one, or ends the archive. */
static edr_status read_header(edr_tar *tar, bool *out_has_entry, edr_tar_entry *out_entry) {
  const uint8_t type = tar->block[TYPE];
  uint64_t size;

  *out_has_entry = false;
  if (is_zero(tar->block)) {
    tar->state = AT_END;
    return EDR_OK;
  }
  if (!checksum_is_right(tar->block)) return fail(tar, EDR_EPROTOCOL, "no header of an entry is here");
  if (!read_number(tar->block + SIZE, 12, &size)) return fail(tar, EDR_EPROTOCOL, "an impossible size");
  if (type != 'L' && type != 'K' && type != 'x' && type != 'g') return begin_entry(tar, size, out_has_entry, out_entry);
  if (size > tar->limits.max_metadata) return fail(tar, EDR_ELIMIT, "a header that is too large");
  edr_buf_clear(&tar->meta);
  tar->meta_type = type;
  expect(tar, size > 0 ? IN_META : AT_HEADER, size);
  return EDR_OK;
}

/* ---- pax ---- */

static bool is_key(const uint8_t *key, size_t size, const char *wanted) {
  return size == strlen(wanted) && memcmp(key, wanted, size) == 0;
}

static edr_status take_name(edr_tar *tar, edr_buf *name, const uint8_t *value, size_t size) {
  edr_buf_clear(name);
  edr_buf_append(name, value, size);
  return name->failed ? fail(tar, EDR_ENOMEM, "out of memory") : EDR_OK;
}

static edr_status take_size(edr_tar *tar, const uint8_t *value, size_t size) {
  uint64_t number = 0;
  for (size_t i = 0; i < size; i++) {
    if (value[i] < '0' || value[i] > '9' || number > UINT64_MAX / 10 - 1)
      return fail(tar, EDR_EPROTOCOL, "an impossible size in a pax header");
    number = number * 10 + (uint64_t)(value[i] - '0');
  }
  tar->size = number;
  tar->has_size = size > 0;
  return EDR_OK;
}

static edr_status take_record(edr_tar *tar, const uint8_t *key, size_t key_size, const uint8_t *value, size_t size) {
  if (is_key(key, key_size, "path")) return take_name(tar, &tar->path, value, size);
  if (is_key(key, key_size, "linkpath")) return take_name(tar, &tar->link, value, size);
  if (is_key(key, key_size, "size")) return take_size(tar, value, size);
  if (key_size > 10 && memcmp(key, "GNU.sparse", 10) == 0) return fail(tar, EDR_ENOTSUP, "a sparse file");
  return EDR_OK;
}

/* Records of "LENGTH KEY=VALUE\n", where LENGTH counts all of it. */
static edr_status read_pax(edr_tar *tar) {
  const uint8_t *at = tar->meta.data, *const end = at + tar->meta.size;
  static const char *const bad = "a damaged pax header";

  while (at < end) {
    const uint8_t *const record = at, *equals;
    size_t length = 0;
    edr_status status;
    while (at < end && *at >= '0' && *at <= '9' && length <= tar->meta.size)
      length = length * 10 + (size_t)(*at++ - '0');
    if (at == record || at == end || *at != ' ' || length > (size_t)(end - record) || record + length < at + 2 ||
        record[length - 1] != '\n')
      return fail(tar, EDR_EPROTOCOL, bad);
    at++;
    equals = memchr(at, '=', (size_t)(record + length - 1 - at));
    if (equals == NULL) return fail(tar, EDR_EPROTOCOL, bad);
    status = take_record(tar, at, (size_t)(equals - at), equals + 1, (size_t)(record + length - 1 - (equals + 1)));
    if (status != EDR_OK) return status;
    at = record + length;
  }
  return EDR_OK;
}

/* A header was read whole. What a global one says of names and sizes makes no sense, and is passed over. */
static edr_status finish_meta(edr_tar *tar) {
  tar->state = IN_PADDING;
  switch (tar->meta_type) {
  case 'L':
    return take_name(tar, &tar->path, tar->meta.data, text_size(tar->meta.data, tar->meta.size));
  case 'K':
    return take_name(tar, &tar->link, tar->meta.data, text_size(tar->meta.data, tar->meta.size));
  case 'x':
    return read_pax(tar);
  default:
    return EDR_OK;
  }
}

/* ---- the stream ---- */

/* Fills the block; whether it is full. */
static bool fill_block(edr_tar *tar, const uint8_t *data, size_t size, size_t *used) {
  const size_t wanted = EDR_TAR_BLOCK - tar->block_size;
  const size_t step = size - *used < wanted ? size - *used : wanted;
  memcpy(tar->block + tar->block_size, data + *used, step);
  tar->block_size += step;
  *used += step;
  tar->offset += step;
  if (tar->block_size < EDR_TAR_BLOCK) return false;
  tar->block_size = 0;
  return true;
}

/* How much of what is left lies in these bytes; counts it as read. */
static size_t take(edr_tar *tar, uint64_t *left, size_t size, size_t *used) {
  const size_t step = *left < size - *used ? (size_t)*left : size - *used;
  *left -= step;
  *used += step;
  tar->offset += step;
  return step;
}

/* EDR_EAGAIN where there is no event yet and more may be read. */
static edr_status advance(edr_tar *tar, const uint8_t *data, size_t size, size_t *used, edr_tar_event *out_event,
                          edr_tar_entry *out_entry, size_t *out_size) {
  bool has_entry = false;
  edr_status status;
  size_t step;

  if (tar->was_given) forget_headers(tar);
  switch (tar->state) {
  case AT_HEADER:
    if (!fill_block(tar, data, size, used)) return EDR_EAGAIN;
    status = read_header(tar, &has_entry, out_entry);
    *out_event = tar->state == AT_END ? EDR_TAR_END : EDR_TAR_ENTRY;
    return status == EDR_OK && !has_entry && tar->state != AT_END ? EDR_EAGAIN : status;
  case IN_CONTENT:
    *out_size = take(tar, &tar->left, size, used);
    if (tar->left == 0) tar->state = IN_PADDING;
    *out_event = EDR_TAR_DATA;
    return EDR_OK;
  case IN_META:
    step = take(tar, &tar->left, size, used);
    edr_buf_append(&tar->meta, data + *used - step, step);
    if (tar->meta.failed) return fail(tar, EDR_ENOMEM, "out of memory");
    if (tar->left > 0) return EDR_EAGAIN;
    status = finish_meta(tar);
    return status == EDR_OK ? EDR_EAGAIN : status;
  case IN_PADDING:
    (void)take(tar, &tar->padding, size, used);
    if (tar->padding == 0) tar->state = AT_HEADER;
    return EDR_EAGAIN;
  case AT_END:
    tar->offset += size - *used;
    *used = size;
    return EDR_EAGAIN;
  default:
    return EDR_EPROTOCOL;
  }
}

edr_status edr_tar_next(edr_tar *tar, const uint8_t *data, size_t size, size_t *out_used, edr_tar_event *out_event,
                        edr_tar_entry *out_entry, size_t *out_size) {
  size_t used = 0;
  edr_status status = tar->state == BROKEN ? EDR_EPROTOCOL : EDR_EAGAIN;

  while (status == EDR_EAGAIN && (used < size || (tar->state == IN_PADDING && tar->padding == 0)))
    status = advance(tar, data, size, &used, out_event, out_entry, out_size);
  if (status == EDR_OK || status == EDR_EAGAIN) *out_used = used;
  return status;
}
