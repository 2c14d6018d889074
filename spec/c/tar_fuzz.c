/* Fuzzes the tar reader: however an archive is cut, the same entries come out of it, and no name of them is absolute,
 * climbs or is there twice. The first byte says how long the pieces are. */
#include <stdlib.h>
#include <string.h>

#include "tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) abort();                                                                                         \
  } while (0)

static const edr_tar_limits limits = {.max_file = 100000, .max_entries = 100, .max_metadata = 4096};

static void check_name(const char *name) {
  MUST(name[0] != '\0' && name[0] != '/');
  for (const char *part = name; part != NULL;) {
    const char *slash = strchr(part, '/');
    const size_t size = slash == NULL ? strlen(part) : (size_t)(slash - part);
    MUST(size > 0 && !(size == 1 && part[0] == '.') && !(size == 2 && part[0] == '.' && part[1] == '.'));
    part = slash == NULL ? NULL : slash + 1;
  }
}

static void check_entry(const edr_tar_entry *entry) {
  check_name(entry->name);
  MUST(strlen(entry->name) <= EDR_TAR_MAX_NAME);
  MUST(entry->kind == EDR_TAR_FILE || entry->size == 0);
  MUST(entry->size <= limits.max_file);
  if (entry->kind == EDR_TAR_SYMLINK) MUST(entry->target[0] != '/' && entry->target[0] != '\0');
  if (entry->kind == EDR_TAR_HARD_LINK) check_name(entry->target);
}

/* What is read, as text; `*out_end` is where it came to. */
static edr_status read_all(const uint8_t *data, size_t size, size_t piece, edr_buf *out, bool *out_ended) {
  edr_tar tar;
  edr_status status = EDR_EAGAIN;
  size_t at = 0;

  edr_tar_init(&tar, &limits, 7);
  *out_ended = false;
  while (at < size && (status == EDR_EAGAIN || status == EDR_OK)) {
    const size_t step = piece < size - at ? piece : size - at;
    size_t used = 0, content = 0;
    edr_tar_event event;
    edr_tar_entry entry;
    status = edr_tar_next(&tar, data + at, step, &used, &event, &entry, &content);
    if (status != EDR_OK && status != EDR_EAGAIN) break;
    MUST(used <= step && (status == EDR_OK || used == step));
    at += used;
    MUST(tar.offset == at);
    if (status != EDR_OK) continue;
    if (event == EDR_TAR_END) *out_ended = true;
    if (event == EDR_TAR_DATA) {
      MUST(content <= used);
      edr_buf_append(out, data + at - content, content);
    }
    if (event == EDR_TAR_ENTRY) {
      check_entry(&entry);
      edr_buf_append(out, entry.name, strlen(entry.name) + 1);
      edr_buf_append(out, entry.target, strlen(entry.target) + 1);
    }
  }
  MUST(status == EDR_OK || status == EDR_EAGAIN || tar.problem != NULL);
  MUST(tar.known_count <= limits.max_entries);
  edr_tar_deinit(&tar);
  return status == EDR_OK ? EDR_EAGAIN : status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  edr_buf whole, pieces;
  bool ended, ended_in_pieces;
  edr_status status;

  if (size < 1) return 0;
  edr_buf_init(&whole);
  edr_buf_init(&pieces);
  status = read_all(data + 1, size - 1, size, &whole, &ended);
  MUST(read_all(data + 1, size - 1, (size_t)data[0] + 1, &pieces, &ended_in_pieces) == status);
  MUST(ended == ended_in_pieces);
  MUST(whole.size == pieces.size && (whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0));
  edr_buf_deinit(&whole);
  edr_buf_deinit(&pieces);
  return 0;
}
