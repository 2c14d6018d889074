/* Fuzzes the frame reader: however a stream is cut, the same frames come out of it. The first byte says how long the
 * pieces are. */
#include <stdlib.h>
#include <string.h>

#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) abort();                                                                                         \
  } while (0)

#define MAX_FRAME 512

/* Checks that the next frames of the stream, from `at` on, are those that the reader gives; how far they reach. */
static size_t take_frames(edr_frame_reader *reader, const uint8_t *stream, size_t size, size_t at, edr_status *out) {
  const uint8_t *frame;
  size_t frame_size;

  while ((*out = edr_frame_next(reader, &frame, &frame_size)) == EDR_OK) {
    MUST(size - at >= 4 && frame_size <= MAX_FRAME);
    MUST(stream[at] == 0 && stream[at + 1] == 0);
    MUST(((size_t)stream[at + 2] << 8 | stream[at + 3]) == frame_size);
    MUST(frame_size <= size - at - 4 && memcmp(frame, stream + at + 4, frame_size) == 0);
    at += 4 + frame_size;
  }
  return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  edr_frame_reader reader;
  edr_status status = EDR_EAGAIN;
  size_t piece, given = 0;

  if (size < 1) return 0;
  piece = (size_t)data[0] + 1;
  data++;
  size--;
  edr_frame_reader_init(&reader, MAX_FRAME);
  for (size_t at = 0, step; at < size && status == EDR_EAGAIN; at += step) {
    uint8_t *room;
    step = piece < size - at ? piece : size - at;
    room = edr_frame_reader_room(&reader, step);
    MUST(room != NULL);
    memcpy(room, data + at, step);
    edr_frame_reader_fed(&reader, step);
    given = take_frames(&reader, data, at + step, given, &status);
    /* what is left is less than a frame, or a frame that is too long */
    MUST(status == EDR_ELIMIT || at + step - given < 4 + MAX_FRAME);
  }
  MUST(status == EDR_EAGAIN || status == EDR_ELIMIT);
  MUST(reader.buf.capacity <= 8192);
  edr_frame_reader_deinit(&reader);
  return 0;
}
