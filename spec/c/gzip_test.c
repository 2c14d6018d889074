/* The inflater: whole streams, members, padding, pieces, and each way to be wrong. */
#include <string.h>
#include <zlib.h>

#include "check.h"
#include "gzip.h"

/* `text` deflated, in gzip's or zlib's wrapping. */
static size_t deflated(uint8_t *room, size_t room_size, const uint8_t *text, size_t size, int window_bits) {
  z_stream stream = {
      .next_in = (z_const Bytef *)text, .avail_in = (uInt)size, .next_out = room, .avail_out = (uInt)room_size};
  CHECK(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  CHECK(deflateEnd(&stream) == Z_OK);
  return room_size - stream.avail_out;
}

static const uint8_t hello[] = "hello, hello, hello";
#define HELLO (sizeof hello - 1)

static edr_status expand(edr_gzip_format format, const uint8_t *data, size_t size, uint64_t most, edr_buf *out,
                         const char **problem) {
  *problem = "";
  return edr_gzip_expand(format, data, size, most, out, problem);
}

static void test_members(void) {
  uint8_t data[200];
  const char *problem;
  edr_buf out;
  size_t size = deflated(data, sizeof data, hello, HELLO, 31);

  edr_buf_init(&out);
  edr_buf_append(&out, "so: ", 4);
  memcpy(data + size, data, size);
  memset(data + 2 * size, 0, 10);
  CHECK(expand(EDR_GZIP, data, size, 1000, &out, &problem) == EDR_OK);
  CHECK(out.size == 4 + HELLO && memcmp(out.data + 4, hello, HELLO) == 0);
  edr_buf_clear(&out);
  CHECK(expand(EDR_GZIP, data, 2 * size + 10, 1000, &out, &problem) == EDR_OK);
  CHECK(out.size == 2 * HELLO && memcmp(out.data + HELLO, hello, HELLO) == 0);
  data[2 * size + 5] = 'x';
  CHECK(expand(EDR_GZIP, data, 2 * size + 10, 1000, &out, &problem) == EDR_EPROTOCOL);
  CHECK(strstr(problem, "follow") != NULL && out.size == 2 * HELLO);
  edr_buf_deinit(&out);
}

/* Cut anywhere, it is no whole stream; any byte changed is found, or does not matter. */
static void test_damage(void) {
  uint8_t data[100], changed[100];
  const char *problem;
  edr_buf out;
  const size_t size = deflated(data, sizeof data, hello, HELLO, 31);

  edr_buf_init(&out);
  for (size_t cut = 0; cut < size; cut++) {
    CHECK(expand(EDR_GZIP, data, cut, 1000, &out, &problem) == EDR_EPROTOCOL);
    CHECK(out.size == 0 && problem[0] != '\0');
  }
  for (size_t i = 0; i < size; i++) {
    memcpy(changed, data, size);
    changed[i] ^= 0x55;
    if (expand(EDR_GZIP, changed, size, 1000, &out, &problem) == EDR_OK) CHECK(memcmp(out.data, hello, HELLO) == 0);
    edr_buf_clear(&out);
  }
  edr_buf_deinit(&out);
}

static void test_bound(void) {
  static uint8_t zeros[1 << 20], data[4096];
  const char *problem;
  edr_buf out;
  const size_t size = deflated(data, sizeof data, zeros, sizeof zeros, 31);

  edr_buf_init(&out);
  CHECK(expand(EDR_GZIP, data, size, sizeof zeros, &out, &problem) == EDR_OK && out.size == sizeof zeros);
  edr_buf_deinit(&out);
  CHECK(expand(EDR_GZIP, data, size, sizeof zeros - 1, &out, &problem) == EDR_ELIMIT && out.size == 0);
  edr_buf_deinit(&out);
  CHECK(expand(EDR_GZIP, data, size, 1000, &out, &problem) == EDR_ELIMIT);
  CHECK(out.capacity < 20000); /* what is too much was never there */
  edr_buf_deinit(&out);
}

static void test_pieces(void) {
  uint8_t data[100], room[7], text[HELLO];
  edr_gzip gzip;
  const size_t size = deflated(data, sizeof data, hello, HELLO, 31);
  size_t made_all = 0, at = 0, used, made;

  CHECK(edr_gzip_init(&gzip, EDR_GZIP, 1000) == EDR_OK);
  CHECK(!edr_gzip_is_whole(&gzip));
  do {
    CHECK(edr_gzip_inflate(&gzip, data + at, at < size ? 1 : 0, &used, room, sizeof room, &made) == EDR_OK);
    CHECK(made_all + made <= sizeof text);
    if (made > 0) memcpy(text + made_all, room, made);
    made_all += made;
    at += used;
    CHECK(edr_gzip_is_whole(&gzip) == (at == size));
  } while (used > 0 || made > 0);
  CHECK(at == size && made_all == HELLO && memcmp(text, hello, HELLO) == 0);
  CHECK(edr_gzip_inflate(&gzip, (const uint8_t *)"xx", 2, &used, room, sizeof room, &made) == EDR_EPROTOCOL);
  CHECK(edr_gzip_inflate(&gzip, data, size, &used, room, sizeof room, &made) == EDR_EPROTOCOL); /* it stays so */
  edr_gzip_deinit(&gzip);
  edr_gzip_deinit(&gzip);
}

static void test_zlib_and_terms(void) {
  static const uint8_t term[] = {109, 0, 0, 0, 3, 'a', 'b', 'c'};
  uint8_t data[100] = {131, 80, 0, 0, 0, sizeof term};
  const char *problem = "";
  edr_buf out;
  const size_t size = 6 + deflated(data + 6, sizeof data - 6, term, sizeof term, 15);

  edr_buf_init(&out);
  CHECK(expand(EDR_ZLIB, data + 6, size - 6, 100, &out, &problem) == EDR_OK && out.size == sizeof term);
  CHECK(expand(EDR_ZLIB, data + 6, size - 5, 100, &out, &problem) == EDR_EPROTOCOL); /* a byte more */
  CHECK(expand(EDR_GZIP, data + 6, size - 6, 100, &out, &problem) == EDR_EPROTOCOL);
  edr_buf_clear(&out);
  CHECK(edr_gzip_expand_term(data, size, 100, &out, &problem) == EDR_OK);
  CHECK(out.size == sizeof term + 1 && out.data[0] == 131 && memcmp(out.data + 1, term, sizeof term) == 0);
  CHECK(edr_gzip_expand_term(data, size, 7, &out, &problem) == EDR_ELIMIT);
  data[5]++;
  CHECK(edr_gzip_expand_term(data, size, 100, &out, &problem) == EDR_EPROTOCOL);
  data[1] = 97;
  CHECK(edr_gzip_expand_term(data, size, 100, &out, &problem) == EDR_EBADARG);
  CHECK(out.size == sizeof term + 1);
  edr_buf_deinit(&out);
  CHECK(edr_gzip_begins((const uint8_t *)"\x1f\x8b", 2) && !edr_gzip_begins((const uint8_t *)"\x1f", 1));
}

static void test_pack(void) {
  uint8_t data[5000];
  const char *problem = "";
  edr_buf packed, out;
  memset(data, 'a', sizeof data);
  edr_buf_init(&packed);
  edr_buf_init(&out);
  CHECK(edr_gzip_pack(data, sizeof data, &packed) == EDR_OK && packed.size < 100);
  CHECK(expand(EDR_ZLIB, packed.data, packed.size, sizeof data, &out, &problem) == EDR_OK);
  CHECK(out.size == sizeof data && memcmp(out.data, data, sizeof data) == 0);
  edr_buf_clear(&packed);
  CHECK(edr_gzip_pack(data, 0, &packed) == EDR_OK && packed.size > 0);
  edr_buf_deinit(&packed);
  edr_buf_deinit(&out);
}

int main(void) {
  test_members();
  test_damage();
  test_bound();
  test_pieces();
  test_zlib_and_terms();
  test_pack();
  return check_done();
}
