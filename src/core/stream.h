/* Frames over a connected transport (TCP or TLS): a buffered writer, a reader that hands whole frames to a callback,
 * and a thread that writes ticks, so that an idle REPL or a long computation of the caller stays connected. One thread
 * (the owner's) reads and writes; only ticks come from the ticker, under the write lock and never inside a frame. Knows
 * nothing of what frames mean. No signal is ever raised by a write. */
#ifndef EDR_STREAM_H
#define EDR_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "frame.h"
#include "status.h"
#include "transport.h"

/* Called for each frame that arrives, ticks left out. Anything but EDR_OK breaks the stream with that status. It may
 * write to the stream by edr_stream_queue alone. */
typedef edr_status (*edr_stream_on_frame)(void *context, const uint8_t *frame, size_t size);

typedef struct edr_stream {
  edr_transport transport; /* its fd is -1 once closed */
  edr_frame_reader reader;
  edr_stream_on_frame on_frame;
  void *context;
  edr_status broken; /* EDR_OK, or why the stream can't be used any more: it stays so */
  int broken_errno;
  pthread_mutex_t lock; /* guards all below, and each read and write of the transport */
  pthread_cond_t wake;
  pthread_t ticker;
  bool ticking, stopping;
  edr_buf out; /* bytes that the socket did not take yet, from out_start on */
  size_t out_start;
  int write_errno; /* not 0: nothing can be written any more; what is here to be read still is */
  int64_t tick_ms, last_write_ms;
} edr_stream;

/* Takes over `transport`, also when it fails. `max_frame` of 0 is the default; `tick_ms` is how long nothing may be
 * written before a tick is. EDR_ESYSTEM: there was no thread for them, `broken_errno` says why. */
edr_status edr_stream_open(edr_stream *stream, edr_transport transport, size_t max_frame, int64_t tick_ms,
                           edr_stream_on_frame on_frame, void *context);

/* Stops the ticker, closes the descriptor, frees everything. Idempotent. */
void edr_stream_close(edr_stream *stream);

/* Queues the bytes of whole frames and sends what the socket takes at once. EDR_ENOMEM, or why the stream is broken.
 * EDR_ENODEDOWN may come before the stream counts as broken: what the peer said before it went is still to be read. */
edr_status edr_stream_queue(edr_stream *stream, const uint8_t *data, size_t size);

/* Waits until no more than `rest` bytes are queued, reading meanwhile. EDR_ETIMEOUT and EDR_EINTERRUPTED leave the rest
 * queued: it goes out later, in order. Otherwise why the stream broke. */
edr_status edr_stream_drain(edr_stream *stream, size_t rest, int64_t deadline_ms);

/* Queues, then drains. */
edr_status edr_stream_write(edr_stream *stream, const uint8_t *data, size_t size, size_t rest, int64_t deadline_ms);

/* Waits until at least something arrived, and hands over every frame that is here by then. A deadline that has passed
 * takes what is there without waiting; a caller that waits for something of its own must look at the clock again, since
 * a peer may send without pause. EDR_ETIMEOUT, EDR_EINTERRUPTED, or why the stream broke: EDR_ENODEDOWN, EDR_EPROTOCOL,
 * EDR_ELIMIT, EDR_ENOMEM, or what the callback said. */
edr_status edr_stream_read(edr_stream *stream, int64_t deadline_ms);

/* Breaks the stream, from outside of a read, if it is not broken yet: why is `status`. Gives back why it is broken. */
edr_status edr_stream_break(edr_stream *stream, edr_status status);

/* How many bytes are queued that the socket has not taken yet. */
size_t edr_stream_queued(edr_stream *stream);

/* What an event loop polls for; 0 where it should read without waiting, since bytes are here of which poll says
 * nothing. */
short edr_stream_events(edr_stream *stream);

/* In words, what errno does not say of why the stream broke: OpenSSL's reason, or "". */
const char *edr_stream_reason(edr_stream *stream);

#endif
