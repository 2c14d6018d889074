/* The frame reader, fed a stream that was cut in every way. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "frame.h"

static void feed(edr_frame_reader *reader, const void *bytes, size_t size) {
  uint8_t *room = edr_frame_reader_room(reader, size);
  if (room == NULL) exit(2);
  if (size > 0) memcpy(room, bytes, size);
  edr_frame_reader_fed(reader, size);
}

static bool next_is(edr_frame_reader *reader, const char *bytes) {
  const uint8_t *data;
  size_t size;
  return edr_frame_next(reader, &data, &size) == EDR_OK && size == strlen(bytes) && memcmp(data, bytes, size) == 0;
}

/* A frame, a tick, a frame, in pieces of every size. */
static void test_pieces(void) {
  static const char stream[] = "\0\0\0\5hello\0\0\0\0\0\0\0\5world";
  static const char *const frames[] = {"hello", "", "world"};
  const size_t whole = sizeof stream - 1;

  for (size_t piece = 1; piece <= whole; piece++) {
    edr_frame_reader reader;
    size_t seen = 0, size = 77;
    const uint8_t *data = NULL;

    edr_frame_reader_init(&reader, 0);
    CHECK(edr_frame_next(&reader, &data, &size) == EDR_EAGAIN);
    for (size_t at = 0; at < whole; at += piece) {
      feed(&reader, stream + at, piece < whole - at ? piece : whole - at);
      while (seen < 3 && next_is(&reader, frames[seen])) seen++;
      CHECK(edr_frame_next(&reader, &data, &size) == EDR_EAGAIN);
    }
    CHECK(seen == 3);
    CHECK(data == NULL && size == 77);
    edr_frame_reader_deinit(&reader);
  }
}

static void test_many_in_one(void) {
  static uint8_t stream[8 * 10000];
  edr_frame_reader reader;
  const uint8_t *data;
  size_t size, right = 0;

  for (size_t i = 0; i < 10000; i++) {
    stream[8 * i + 3] = 4;
    stream[8 * i + 4] = (uint8_t)(i >> 8);
    stream[8 * i + 5] = (uint8_t)i;
  }
  edr_frame_reader_init(&reader, 0);
  feed(&reader, stream, sizeof stream);
  for (size_t i = 0; i < 10000; i++)
    if (edr_frame_next(&reader, &data, &size) == EDR_OK && size == 4 && data[0] == (uint8_t)(i >> 8) &&
        data[1] == (uint8_t)i)
      right++;
  CHECK(right == 10000);
  CHECK(edr_frame_next(&reader, &data, &size) == EDR_EAGAIN);
  edr_frame_reader_deinit(&reader);
}

static void test_limit(void) {
  edr_frame_reader reader;
  const uint8_t *data;
  size_t size;

  edr_frame_reader_init(&reader, 5);
  feed(&reader, "\0\0\0\5hello", 9);
  CHECK(next_is(&reader, "hello"));
  feed(&reader, "\0\0\0\6", 4);
  CHECK(edr_frame_next(&reader, &data, &size) == EDR_ELIMIT);
  CHECK(edr_frame_next(&reader, &data, &size) == EDR_ELIMIT); /* a stream that is lost stays lost */
  edr_frame_reader_deinit(&reader);

  edr_frame_reader_init(&reader, 0);
  feed(&reader, "\xff\xff\xff\xff", 4);
  CHECK(edr_frame_next(&reader, &data, &size) == EDR_ELIMIT);
  edr_frame_reader_deinit(&reader);
}

/* A length alone takes no memory: only bytes that came do. */
static void test_claim(void) {
  edr_frame_reader reader;
  const uint8_t *data;
  size_t size;

  edr_frame_reader_init(&reader, 0);
  feed(&reader, "\x0f\xff\xff\xff", 4);
  CHECK(edr_frame_next(&reader, &data, &size) == EDR_EAGAIN);
  CHECK(edr_frame_reader_room(&reader, 4096) != NULL);
  CHECK(reader.buf.capacity < 65536);
  edr_frame_reader_deinit(&reader);
}

/* Frame after frame, each only partly there at first, needs no more memory than a few of them. */
static void test_steady(void) {
  edr_frame_reader reader;
  const uint8_t *data;
  uint8_t frame[1000] = {0, 0, 3, 0xE4};
  size_t size, seen = 0;

  edr_frame_reader_init(&reader, 0);
  for (int i = 0; i < 10000; i++) {
    feed(&reader, frame + (i == 0 ? 0 : 500), i == 0 ? 1000 : 500);
    while (edr_frame_next(&reader, &data, &size) == EDR_OK) seen += size == 996;
    feed(&reader, frame, 500);
  }
  CHECK(seen == 10000);
  CHECK(reader.buf.capacity <= 8192);
  edr_frame_reader_deinit(&reader);
}

/* What a huge frame took is given back, and the beginning of the next frame behind it is not lost. */
static void test_gives_back(void) {
  const size_t huge = (size_t)32 << 20;
  uint8_t *stream = calloc(1, huge + 4 + 7);
  edr_frame_reader reader;
  const uint8_t *data;
  size_t size;

  if (stream == NULL) exit(2);
  stream[0] = 2;
  memcpy(stream + 4 + huge, "\0\0\0\5hel", 7);
  edr_frame_reader_init(&reader, 0);
  for (size_t at = 0, step; at < huge + 4 + 7; at += step) {
    step = huge + 4 + 7 - at < 65536 ? huge + 4 + 7 - at : 65536;
    feed(&reader, stream + at, step);
  }
  CHECK(reader.buf.capacity >= huge);
  CHECK(edr_frame_next(&reader, &data, &size) == EDR_OK && size == huge);
  CHECK(data[0] == 0 && data[huge - 1] == 0);
  feed(&reader, "lo", 2);
  CHECK(reader.buf.capacity <= (size_t)1 << 20);
  CHECK(next_is(&reader, "hello"));
  edr_frame_reader_deinit(&reader);
  edr_frame_reader_deinit(&reader);
  free(stream);
}

static void test_fed_too_much(void) {
  edr_frame_reader reader;

  edr_frame_reader_init(&reader, 0);
  CHECK(edr_frame_reader_room(&reader, 0) != NULL);
  edr_frame_reader_fed(&reader, SIZE_MAX);
  CHECK(reader.buf.size <= reader.buf.capacity);
  CHECK(edr_frame_reader_room(&reader, SIZE_MAX) == NULL);
  edr_frame_reader_deinit(&reader);
}

int main(void) {
  test_pieces();
  test_many_in_one();
  test_limit();
  test_claim();
  test_steady();
  test_gives_back();
  test_fed_too_much();
  return check_done();
}
