/* Frames over a transport; the contract is in stream.h. What is queued is sent by the thread that holds the lock;
 * reading is the owner's alone. */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "clock.h"

enum {
  READ_CHUNK = 64 * 1024,
  MAX_CHUNKS = 256,
  LAST_ROUNDS = 32, /* of MAX_CHUNKS each: twice the largest frame */
  KEPT_CAPACITY = 1024 * 1024
};

static edr_status break_stream(edr_stream *stream, edr_status status, int sys_errno) {
  if (stream->broken == EDR_OK) {
    stream->broken = status;
    stream->broken_errno = sys_errno;
  }
  return stream->broken;
}

/* Sends what it can of `data` without waiting; how much is said in `out_sent`. The lock is held. 0, or the errno of a
 * broken connection. */
static int send_some(edr_stream *stream, const uint8_t *data, size_t size, size_t *out_sent) {
  *out_sent = 0;
  while (*out_sent < size) {
    size_t sent = 0;
    const edr_status status = edr_transport_write(&stream->transport, data + *out_sent, size - *out_sent, &sent);
    if (status == EDR_EAGAIN) return 0;
    if (status != EDR_OK) return errno != 0 ? errno : EPIPE;
    *out_sent += sent;
  }
  return 0;
}

static size_t waiting(const edr_stream *stream) {
  return stream->out.size - stream->out_start;
}

/* The same, and what the transport holds back. */
static size_t unsent(const edr_stream *stream) {
  return waiting(stream) + edr_transport_unsent(&stream->transport);
}

/* Sends what waits in `out`. The lock is held. The bytes move to the front only when half of them are gone, so that a
 * large frame is not copied again for each piece that the socket takes. */
static void flush_locked(edr_stream *stream) {
  size_t sent;
  if (stream->write_errno != 0) return;
  if (waiting(stream) == 0) {
    if (edr_transport_flush(&stream->transport) == EDR_ENODEDOWN) stream->write_errno = errno != 0 ? errno : EPIPE;
    return;
  }
  stream->write_errno = send_some(stream, stream->out.data + stream->out_start, waiting(stream), &sent);
  if (sent > 0) stream->last_write_ms = edr_clock_now_ms();
  stream->out_start += sent;
  if (waiting(stream) == 0 && stream->out.capacity > KEPT_CAPACITY) {
    edr_buf_deinit(&stream->out);
    stream->out_start = 0;
  } else if (stream->out_start > stream->out.size / 2) {
    edr_buf_consume(&stream->out, stream->out_start);
    stream->out_start = 0;
  }
}

/* A tick where nothing was written for `tick_ms`, and what an earlier write left behind. Failures are found by the
 * owner's next read or write; the ticker only stops. */
static void *tick(void *argument) {
  static const uint8_t zero[4];
  edr_stream *stream = argument;

  pthread_mutex_lock(&stream->lock);
  while (!stream->stopping && stream->write_errno == 0) {
    const int64_t due = stream->last_write_ms + stream->tick_ms;
    if (edr_clock_now_ms() >= due) {
      if (unsent(stream) == 0) edr_buf_append(&stream->out, zero, sizeof zero);
      flush_locked(stream);
      stream->last_write_ms = edr_clock_now_ms();
    } else {
      struct timespec until;
      until.tv_sec = (time_t)(due / 1000);
      until.tv_nsec = (long)(due % 1000) * 1000000;
      pthread_cond_timedwait(&stream->wake, &stream->lock, &until);
    }
  }
  pthread_mutex_unlock(&stream->lock);
  return NULL;
}

/* The ticker takes no signals: they belong to the host program's own threads. */
static int start_ticker(edr_stream *stream) {
  sigset_t all, before;
  int failure;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  failure = pthread_create(&stream->ticker, NULL, tick, stream);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  stream->ticking = failure == 0;
  return failure;
}

edr_status edr_stream_open(edr_stream *stream, edr_transport transport, size_t max_frame, int64_t tick_ms,
                           edr_stream_on_frame on_frame, void *context) {
  pthread_condattr_t attributes;
  int failure;

  memset(stream, 0, sizeof *stream);
  stream->transport = transport;
  stream->on_frame = on_frame;
  stream->context = context;
  stream->tick_ms = tick_ms;
  stream->last_write_ms = edr_clock_now_ms();
  edr_frame_reader_init(&stream->reader, max_frame);
  edr_buf_init(&stream->out);
  pthread_mutex_init(&stream->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&stream->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  if ((failure = start_ticker(stream)) != 0) {
    break_stream(stream, EDR_ESYSTEM, failure);
    edr_stream_close(stream);
    return EDR_ESYSTEM;
  }
  return EDR_OK;
}

void edr_stream_close(edr_stream *stream) {
  if (stream->transport.fd < 0) return;
  if (stream->ticking) {
    pthread_mutex_lock(&stream->lock);
    stream->stopping = true;
    pthread_cond_signal(&stream->wake);
    pthread_mutex_unlock(&stream->lock);
    pthread_join(stream->ticker, NULL);
    stream->ticking = false;
  }
  edr_transport_close(&stream->transport);
  pthread_cond_destroy(&stream->wake);
  pthread_mutex_destroy(&stream->lock);
  edr_frame_reader_deinit(&stream->reader);
  edr_buf_deinit(&stream->out);
  break_stream(stream, EDR_ECLOSED, 0);
}

edr_status edr_stream_queue(edr_stream *stream, const uint8_t *data, size_t size) {
  edr_status status = EDR_OK;
  size_t sent = 0;
  bool gone;

  if (stream->broken != EDR_OK) return stream->broken;
  pthread_mutex_lock(&stream->lock);
  if (stream->write_errno == 0 && waiting(stream) == 0) {
    stream->write_errno = send_some(stream, data, size, &sent);
    if (sent > 0) stream->last_write_ms = edr_clock_now_ms();
  }
  gone = stream->write_errno != 0;
  if (!gone && sent < size) {
    edr_buf_append(&stream->out, data + sent, size - sent);
    status = edr_buf_status(&stream->out);
  }
  pthread_mutex_unlock(&stream->lock);
  if (gone) return EDR_ENODEDOWN;
  /* Part of a frame may be out: without its rest the stream makes no sense to the peer. */
  return status == EDR_OK ? EDR_OK : break_stream(stream, status, 0);
}

/* Takes in what has arrived, a bounded amount at a time, and hands over whole frames. `out_any`: whether anything came.
 */
static edr_status take_in(edr_stream *stream, bool *out_any) {
  int chunks;
  *out_any = false;
  for (chunks = 0; chunks < MAX_CHUNKS; chunks++) {
    uint8_t *room = edr_frame_reader_room(&stream->reader, READ_CHUNK);
    const uint8_t *frame;
    size_t size;
    size_t got = 0;
    edr_status status;

    if (room == NULL) return break_stream(stream, EDR_ENOMEM, 0);
    pthread_mutex_lock(&stream->lock);
    status = edr_transport_read(&stream->transport, room, READ_CHUNK, &got);
    pthread_mutex_unlock(&stream->lock);
    if (status == EDR_EAGAIN) return EDR_OK;
    if (status != EDR_OK) return break_stream(stream, status == EDR_ENOMEM ? status : EDR_ENODEDOWN, errno);
    *out_any = true;
    edr_frame_reader_fed(&stream->reader, got);
    while ((status = edr_frame_next(&stream->reader, &frame, &size)) == EDR_OK) {
      if (size == 0) continue; /* a tick: the ticker answers in its own time */
      if ((status = stream->on_frame(stream->context, frame, size)) != EDR_OK) return break_stream(stream, status, 0);
    }
    if (status != EDR_EAGAIN) return break_stream(stream, status, 0);
    if (got < READ_CHUNK && edr_transport_gives_all(&stream->transport))
      return EDR_OK; /* saves a read that finds nothing */
  }
  return EDR_OK;
}

/* The peer is gone. What it said before may explain why, and answers that are here are still answers. One that takes
 * nothing more, but goes on talking, is heard to no end that it chooses. */
static edr_status take_last_words(edr_stream *stream, int failure, bool *out_any) {
  bool any = true;
  int round;
  for (round = 0; any && round < LAST_ROUNDS; round++) {
    if (take_in(stream, &any) != EDR_OK) return stream->broken;
    *out_any |= any;
  }
  return break_stream(stream, EDR_ENODEDOWN, failure);
}

/* 0: don't wait. The lock is held. */
static short events_locked(const edr_stream *stream) {
  if (edr_transport_pending(&stream->transport)) return 0;
  return edr_transport_events(&stream->transport, waiting(stream) > 0);
}

/* Sends what is queued, waits once for the socket and takes in what came. `out_any`: whether anything did. */
static edr_status step(edr_stream *stream, int64_t deadline_ms, bool *out_any) {
  struct pollfd poller;
  int ready, failure;

  *out_any = false;
  pthread_mutex_lock(&stream->lock);
  flush_locked(stream);
  failure = stream->write_errno;
  poller = (struct pollfd){.fd = stream->transport.fd, .events = events_locked(stream)};
  pthread_mutex_unlock(&stream->lock);
  if (failure != 0) return take_last_words(stream, failure, out_any);
  if (poller.events == 0) return take_in(stream, out_any);
  ready = poll(&poller, 1, edr_deadline_poll_ms(deadline_ms));
  if (ready < 0) return errno == EINTR ? EDR_EINTERRUPTED : break_stream(stream, EDR_ESYSTEM, errno);
  return ready == 0 ? EDR_ETIMEOUT : take_in(stream, out_any);
}

edr_status edr_stream_drain(edr_stream *stream, size_t rest, int64_t deadline_ms) {
  edr_status status = stream->broken;
  bool any;
  while (status == EDR_OK && edr_stream_queued(stream) > rest) {
    status = step(stream, deadline_ms, &any);
    /* A peer that talks without pause and does not listen keeps the socket ready. */
    if (status == EDR_OK && edr_clock_now_ms() >= deadline_ms && edr_stream_queued(stream) > rest)
      status = EDR_ETIMEOUT;
  }
  return status;
}

edr_status edr_stream_write(edr_stream *stream, const uint8_t *data, size_t size, size_t rest, int64_t deadline_ms) {
  edr_status status = edr_stream_queue(stream, data, size);
  bool any;
  if (status == EDR_ENODEDOWN && stream->broken == EDR_OK) return step(stream, deadline_ms, &any);
  return status == EDR_OK ? edr_stream_drain(stream, rest, deadline_ms) : status;
}

edr_status edr_stream_read(edr_stream *stream, int64_t deadline_ms) {
  bool any = false;
  edr_status status = stream->broken;
  while (status == EDR_OK && !any) {
    status = step(stream, deadline_ms, &any);
    if (status == EDR_OK && !any && edr_clock_now_ms() >= deadline_ms)
      status = EDR_ETIMEOUT; /* what comes is nothing, but it comes */
  }
  return status;
}

edr_status edr_stream_break(edr_stream *stream, edr_status status) {
  return break_stream(stream, status, 0);
}

size_t edr_stream_queued(edr_stream *stream) {
  size_t queued;
  if (stream->transport.fd < 0) return 0;
  pthread_mutex_lock(&stream->lock);
  queued = unsent(stream);
  pthread_mutex_unlock(&stream->lock);
  return queued;
}

short edr_stream_events(edr_stream *stream) {
  short events;
  if (stream->transport.fd < 0) return 0;
  pthread_mutex_lock(&stream->lock);
  events = events_locked(stream);
  pthread_mutex_unlock(&stream->lock);
  return events;
}

const char *edr_stream_reason(edr_stream *stream) {
  const char *reason;
  if (stream->transport.fd < 0) return "";
  pthread_mutex_lock(&stream->lock); /* the ticker may be the one that finds it */
  reason = edr_transport_reason(&stream->transport);
  pthread_mutex_unlock(&stream->lock);
  return reason;
}
