/* Fuzzes the inflater: however a stream is cut, and however small the room, the same bytes and the same verdict come
 * out of it; and never more than is allowed. The first byte says how long the pieces are, the second how much room
 * there is. */
#include <stdlib.h>
#include <string.h>

#include "gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) abort();                                                                                         \
  } while (0)

#define MAX_OUTPUT 65536

static edr_status in_pieces(edr_gzip_format format, const uint8_t *data, size_t size, size_t piece, size_t room_size,
                            edr_buf *out) {
  uint8_t room[256];
  edr_gzip gzip;
  edr_status status = edr_gzip_init(&gzip, format, MAX_OUTPUT);
  size_t at = 0, used, made;

  MUST(status == EDR_OK);
  do {
    const size_t step = piece < size - at ? piece : size - at;
    status = edr_gzip_inflate(&gzip, data + at, step, &used, room, room_size, &made);
    if (status != EDR_OK) break;
    MUST(used <= step && made <= room_size);
    at += used;
    edr_buf_append(out, room, made);
  } while (used > 0 || made > 0);
  if (status == EDR_OK && !edr_gzip_is_whole(&gzip)) status = EDR_EPROTOCOL;
  MUST(status != EDR_OK || at == size);
  MUST(gzip.made <= MAX_OUTPUT + 256);
  edr_gzip_deinit(&gzip);
  return status;
}

static void try_format(edr_gzip_format format, const uint8_t *data, size_t size, size_t piece, size_t room_size) {
  const char *problem = NULL;
  edr_buf whole, pieces;
  edr_status status, in_parts;

  edr_buf_init(&whole);
  edr_buf_init(&pieces);
  status = edr_gzip_expand(format, data, size, MAX_OUTPUT, &whole, &problem);
  MUST(status == EDR_OK || (problem != NULL && whole.size == 0));
  MUST(whole.size <= MAX_OUTPUT);
  in_parts = in_pieces(format, data, size, piece, room_size, &pieces);
  MUST((status == EDR_OK) == (in_parts == EDR_OK));
  MUST(status != EDR_OK || whole.size == pieces.size);
  MUST(status != EDR_OK || whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
  edr_buf_deinit(&whole);
  edr_buf_deinit(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *problem = NULL;
  edr_buf term;

  if (size < 2) return 0;
  try_format(EDR_GZIP, data + 2, size - 2, (size_t)data[0] + 1, (size_t)data[1] + 1);
  try_format(EDR_ZLIB, data + 2, size - 2, (size_t)data[0] + 1, (size_t)data[1] + 1);
  edr_buf_init(&term);
  if (edr_gzip_expand_term(data + 2, size - 2, MAX_OUTPUT, &term, &problem) == EDR_OK) {
    MUST(term.size >= 1 && term.size <= MAX_OUTPUT + 1 && term.data[0] == 131);
  } else {
    MUST(term.size == 0);
  }
  edr_buf_deinit(&term);
  return 0;
}
