/* Frames of the distribution after the handshake: a 4-byte length and that many bytes; a length of 0 is a tick.
 * The reader is fed bytes, however they were cut, and knows no socket. */
#ifndef EDR_FRAME_H
#define EDR_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "status.h"

#define EDR_FRAME_DEFAULT_MAX ((size_t)256 << 20)

typedef struct edr_frame_reader {
  edr_buf buf;
  size_t start; /* bytes of buf that were given out already */
  size_t max;   /* the largest frame that is taken */
} edr_frame_reader;

/* `max` of 0 is EDR_FRAME_DEFAULT_MAX. */
void edr_frame_reader_init(edr_frame_reader *reader, size_t max);
void edr_frame_reader_deinit(edr_frame_reader *reader);

/* Room for at least `size` bytes to be received into; the bytes are taken in by edr_frame_reader_fed. NULL: no memory.
 */
uint8_t *edr_frame_reader_room(edr_frame_reader *reader, size_t size);
void edr_frame_reader_fed(edr_frame_reader *reader, size_t size);

/* The next whole frame, without its length; size 0 is a tick. It stays valid until room is asked for again.
 * EDR_EAGAIN: not all of it is here yet; EDR_ELIMIT: its length is over the limit (the stream cannot be read on). */
edr_status edr_frame_next(edr_frame_reader *reader, const uint8_t **out_data, size_t *out_size);

#endif
