/* Bytes come in at the buffer's end, frames are given out from `start`. The rest is moved to the front only when room
 * is asked for and there is none: since no frame is left by then but the one that is still coming in, a byte moves at
 * most once. */
#include "frame.h"

#define KEPT_CAPACITY ((size_t)1 << 20) /* what is kept when a larger frame has been dealt with */
#define LENGTH_SIZE 4

void edr_frame_reader_init(edr_frame_reader *reader, size_t max) {
  edr_buf_init(&reader->buf);
  reader->start = 0;
  reader->max = max == 0 ? EDR_FRAME_DEFAULT_MAX : max;
}

void edr_frame_reader_deinit(edr_frame_reader *reader) {
  edr_buf_deinit(&reader->buf);
  reader->start = 0;
}

/* Puts what is left into a buffer no larger than it and `size` bytes need. */
static void shrink(edr_frame_reader *reader, size_t size) {
  edr_buf smaller;
  size_t left = reader->buf.size - reader->start;

  edr_buf_init(&smaller);
  if (edr_buf_reserve(&smaller, left + size) != EDR_OK) return; /* then the large one serves on */
  edr_buf_append(&smaller, reader->buf.data + reader->start, left);
  edr_buf_deinit(&reader->buf);
  reader->buf = smaller;
  reader->start = 0;
}

uint8_t *edr_frame_reader_room(edr_frame_reader *reader, size_t size) {
  edr_buf *buf = &reader->buf;
  size_t left = buf->size - reader->start;

  if (size == 0) size = 1;
  if (buf->capacity > KEPT_CAPACITY && size <= KEPT_CAPACITY && left <= KEPT_CAPACITY - size) shrink(reader, size);
  if (left == 0 || size > buf->capacity - buf->size) {
    edr_buf_consume(buf, reader->start);
    reader->start = 0;
    if (edr_buf_reserve(buf, size) != EDR_OK) return NULL;
  }
  return buf->data + buf->size;
}

void edr_frame_reader_fed(edr_frame_reader *reader, size_t size) {
  size_t room = reader->buf.capacity - reader->buf.size;
  reader->buf.size += size < room ? size : room;
}

edr_status edr_frame_next(edr_frame_reader *reader, const uint8_t **out_data, size_t *out_size) {
  size_t left = reader->buf.size - reader->start, size;
  const uint8_t *at;

  if (left < LENGTH_SIZE) return EDR_EAGAIN;
  at = reader->buf.data + reader->start;
  size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
  if (size > reader->max) return EDR_ELIMIT;
  if (left - LENGTH_SIZE < size) return EDR_EAGAIN;
  reader->start += LENGTH_SIZE + size;
  *out_data = at + LENGTH_SIZE;
  *out_size = size;
  return EDR_OK;
}
