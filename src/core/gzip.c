#include "gzip.h"

#include <stdlib.h>
#include <zlib.h>

#define VERSION 131
#define TAG_COMPRESSED 80

/* zlib's own would not be seen to fail, see spec/c/exhaust.h. */
static voidpf allocate(voidpf opaque, uInt count, uInt size) {
  (void)opaque;
  return calloc(count, size);
}

static void release(voidpf opaque, voidpf memory) {
  (void)opaque;
  free(memory);
}

static edr_status fail(edr_gzip *gzip, edr_status status, const char *problem) {
  gzip->problem = problem;
  return status;
}

edr_status edr_gzip_init(edr_gzip *gzip, edr_gzip_format format, uint64_t max_output) {
  z_stream *stream = calloc(1, sizeof *stream);

  *gzip = (edr_gzip){.format = format, .max_output = max_output};
  if (stream == NULL) return fail(gzip, EDR_ENOMEM, "out of memory");
  stream->zalloc = allocate;
  stream->zfree = release;
  if (inflateInit2(stream, format == EDR_GZIP ? 16 + MAX_WBITS : MAX_WBITS) != Z_OK) {
    free(stream);
    return fail(gzip, EDR_ENOMEM, "out of memory");
  }
  gzip->stream = stream;
  return EDR_OK;
}

void edr_gzip_deinit(edr_gzip *gzip) {
  if (gzip->stream == NULL) return;
  (void)inflateEnd(gzip->stream);
  free(gzip->stream);
  gzip->stream = NULL;
}

bool edr_gzip_begins(const uint8_t *data, size_t size) {
  return size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
}

bool edr_gzip_is_whole(const edr_gzip *gzip) {
  return gzip->used > 0 && !gzip->inside && gzip->problem == NULL;
}

/* Between members: another one begins, or padding does. Gives how many bytes of padding there were. */
static edr_status skip_padding(edr_gzip *gzip, const uint8_t *data, size_t size, size_t *out_skipped) {
  size_t skipped = 0;
  if (gzip->used == 0) return EDR_OK;
  if (size > 0 && gzip->format == EDR_ZLIB) return fail(gzip, EDR_EPROTOCOL, "other bytes follow the compressed ones");
  while (skipped < size && data[skipped] == 0) skipped++;
  if (skipped > 0) gzip->ended = true;
  if (skipped < size && gzip->ended) return fail(gzip, EDR_EPROTOCOL, "other bytes follow the compressed ones");
  *out_skipped = skipped;
  return EDR_OK;
}

static edr_status settle(edr_gzip *gzip, int result) {
  z_stream *stream = gzip->stream;
  switch (result) {
  case Z_OK:
  case Z_BUF_ERROR: /* no room, or no input: neither is an error */
    return EDR_OK;
  case Z_STREAM_END:
    gzip->inside = false;
    return inflateReset(stream) == Z_OK ? EDR_OK : fail(gzip, EDR_EPROTOCOL, "the compressed bytes are damaged");
  case Z_MEM_ERROR:
    return fail(gzip, EDR_ENOMEM, "out of memory");
  default:
    return fail(gzip, EDR_EPROTOCOL, "the compressed bytes are damaged");
  }
}

/* One call of zlib's, whose sizes are 32 bits wide. */
static edr_status inflate_some(edr_gzip *gzip, const uint8_t *data, size_t size, size_t *used, uint8_t *room,
                               size_t room_size, size_t *made) {
  const size_t most = 1u << 30;
  z_stream *stream = gzip->stream;
  const uInt given = (uInt)(size > most ? most : size);
  const uInt asked = (uInt)(room_size > most ? most : room_size);
  int result;

  stream->next_in = (z_const Bytef *)data;
  stream->avail_in = given;
  stream->next_out = room;
  stream->avail_out = asked;
  gzip->inside = true;
  result = inflate(stream, Z_NO_FLUSH);
  *used = given - stream->avail_in;
  *made = asked - stream->avail_out;
  gzip->used += *used;
  gzip->made += *made;
  return settle(gzip, result);
}

edr_status edr_gzip_inflate(edr_gzip *gzip, const uint8_t *data, size_t size, size_t *out_used, uint8_t *room,
                            size_t room_size, size_t *out_made) {
  size_t used = 0, made = 0;
  edr_status status = EDR_OK;

  if (gzip->stream == NULL || gzip->problem != NULL) return EDR_EPROTOCOL;
  /* With its room full, zlib may still have to be asked for the end of a member. */
  while (status == EDR_OK && (used < size || made < room_size)) {
    size_t took = 0, gave = 0;
    if (!gzip->inside) {
      status = skip_padding(gzip, data + used, size - used, &took);
      gzip->used += took;
      used += took;
      if (status != EDR_OK || used == size) break;
      took = 0;
    }
    status = inflate_some(gzip, data + used, size - used, &took, room + made, room_size - made, &gave);
    used += took;
    made += gave;
    if (gzip->made > gzip->max_output) status = fail(gzip, EDR_ELIMIT, "the bytes inflate to more than is allowed");
    if (took == 0 && gave == 0) break;
  }
  if (status != EDR_OK) return status;
  *out_used = used;
  *out_made = made;
  return EDR_OK;
}

/* The room grows with what comes, so that what a file says of its size costs nothing. */
static edr_status expand(edr_gzip *gzip, const uint8_t *data, size_t size, edr_buf *out) {
  size_t at = 0, used, made;
  do {
    edr_status status = edr_buf_reserve(out, out->size < 4096 ? 4096 : out->size / 2);
    if (status != EDR_OK) return fail(gzip, status, "out of memory");
    status =
        edr_gzip_inflate(gzip, data + at, size - at, &used, out->data + out->size, out->capacity - out->size, &made);
    if (status != EDR_OK) return status;
    at += used;
    out->size += made;
  } while (used > 0 || made > 0);
  return edr_gzip_is_whole(gzip) ? EDR_OK : fail(gzip, EDR_EPROTOCOL, "the compressed bytes are cut short");
}

edr_status edr_gzip_expand(edr_gzip_format format, const uint8_t *data, size_t size, uint64_t max_output, edr_buf *out,
                           const char **out_problem) {
  const size_t before = out->size;
  edr_gzip gzip;
  edr_status status = edr_gzip_init(&gzip, format, max_output);
  if (status == EDR_OK) status = expand(&gzip, data, size, out);
  if (status != EDR_OK) {
    out->size = before;
    out->failed = false;
    *out_problem = gzip.problem;
  }
  edr_gzip_deinit(&gzip);
  return status;
}

edr_status edr_gzip_expand_term(const uint8_t *data, size_t size, uint64_t max_output, edr_buf *out,
                                const char **out_problem) {
  const size_t before = out->size;
  uint64_t said;
  edr_status status;

  if (size < 2 || data[0] != VERSION || data[1] != TAG_COMPRESSED) return EDR_EBADARG;
  *out_problem = "the term is cut short";
  if (size < 6) return EDR_EPROTOCOL;
  said = (uint64_t)data[2] << 24 | (uint64_t)data[3] << 16 | (uint64_t)data[4] << 8 | data[5];
  *out_problem = "a compressed term of too many bytes";
  if (said > max_output) return EDR_ELIMIT;
  edr_buf_put_u8(out, VERSION);
  *out_problem = "out of memory";
  if (out->failed) return EDR_ENOMEM;
  status = edr_gzip_expand(EDR_ZLIB, data + 6, size - 6, said, out, out_problem);
  if (status == EDR_OK && out->size - before - 1 != said) {
    *out_problem = "a compressed term of another size than it says";
    status = EDR_EPROTOCOL;
  }
  if (status != EDR_OK) out->size = before;
  return status;
}

edr_status edr_gzip_pack(const uint8_t *data, size_t size, edr_buf *out) {
  uLongf made = compressBound(size);
  if (edr_buf_reserve(out, made) != EDR_OK) return EDR_ENOMEM;
  if (compress2(out->data + out->size, &made, data, size, 1) != Z_OK) return EDR_ENOMEM;
  out->size += made;
  return EDR_OK;
}
