/* Streams over a socket pair: frames cut anywhere, ticks, a peer that does not listen, one that never stops talking,
 * and one that goes away in the middle. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"

typedef struct peer {
  edr_stream stream;
  int fd; /* the other end */
  size_t frames, bytes;
  uint8_t last;
  edr_status answer; /* what the callback says */
  const char *echo;  /* what it queues for each frame */
} peer;

static edr_status on_frame(void *context, const uint8_t *frame, size_t size) {
  peer *p = context;
  p->frames++;
  p->bytes += size;
  p->last = frame[size - 1];
  if (p->echo != NULL && edr_stream_queue(&p->stream, (const uint8_t *)p->echo, strlen(p->echo)) == EDR_ENOMEM)
    return EDR_ENOMEM;
  return p->answer;
}

static void open_peer(peer *p, int64_t tick_ms) {
  int pair[2];
  memset(p, 0, sizeof *p);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) exit(2);
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  p->fd = pair[1];
  CHECK(edr_stream_open(&p->stream, edr_transport_tcp(pair[0]), 0, tick_ms, on_frame, p) == EDR_OK);
}

static void close_peer(peer *p) {
  edr_stream_close(&p->stream);
  edr_stream_close(&p->stream); /* twice is fine */
  if (p->fd >= 0) close(p->fd);
}

static void put(peer *p, const void *bytes, size_t size) {
  CHECK(write(p->fd, bytes, size) == (ssize_t)size);
}

static int64_t in_ms(int64_t ms) {
  return edr_deadline_after(ms);
}

/* Two frames and a tick between them, cut in two at every place. */
static void test_cut(void) {
  static const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 2, 'd', 'e'};
  size_t cut;
  for (cut = 1; cut < sizeof bytes; cut++) {
    peer p;
    open_peer(&p, 60000);
    put(&p, bytes, cut);
    CHECK(edr_stream_read(&p.stream, in_ms(1000)) == EDR_OK);
    CHECK(p.frames == (cut >= 7 ? 1u : 0u));
    put(&p, bytes + cut, sizeof bytes - cut);
    CHECK(edr_stream_read(&p.stream, in_ms(1000)) == EDR_OK);
    CHECK(p.frames == 2 && p.bytes == 5 && p.last == 'e');
    CHECK(edr_stream_read(&p.stream, 0) == EDR_ETIMEOUT);
    close_peer(&p);
  }
}

/* What has arrived is taken also where the deadline has passed; a frame that came in half survives a timeout. */
static void test_late(void) {
  peer p;
  open_peer(&p, 60000);
  put(&p, "\0\0\0\2x", 5);
  CHECK(edr_stream_read(&p.stream, 0) == EDR_OK && p.frames == 0);
  CHECK(edr_stream_read(&p.stream, in_ms(20)) == EDR_ETIMEOUT);
  put(&p, "y", 1);
  CHECK(edr_stream_read(&p.stream, 0) == EDR_OK && p.frames == 1 && p.last == 'y');
  close_peer(&p);
}

/* Reads from the other end for `ms`; how much came is returned. */
static size_t drain(int fd, uint8_t *data, size_t room, int64_t ms) {
  const int64_t end = in_ms(ms);
  size_t size = 0;
  while (size < room) {
    struct pollfd item = {fd, POLLIN, 0};
    ssize_t got;
    if (poll(&item, 1, edr_deadline_poll_ms(end)) <= 0) break;
    got = read(fd, data + size, room - size);
    if (got <= 0) break;
    size += (size_t)got;
  }
  return size;
}

/* The ticker writes while the owner does nothing at all. */
static void test_ticks(void) {
  static const uint8_t zero[64];
  uint8_t got[64];
  size_t size;
  peer p;
  open_peer(&p, 20);
  size = drain(p.fd, got, sizeof got, 150);
  CHECK(size >= 8 && size % 4 == 0 && memcmp(got, zero, size) == 0);
  close_peer(&p);
}

enum { LARGE = 4 * 1024 * 1024 };

/* The peer does not read: the write times out, ticks keep out of the frame, and all goes on in order once it reads. */
static void test_deaf(void) {
  uint8_t *large = malloc(LARGE), *got = malloc(LARGE + 4096);
  int64_t before;
  size_t size, i;
  bool same = true;
  peer p;

  for (i = 0; i < LARGE; i++) large[i] = (uint8_t)(1 + i % 251);
  open_peer(&p, 100);
  before = edr_clock_now_ms();
  CHECK(edr_stream_write(&p.stream, large, LARGE, 0, in_ms(300)) == EDR_ETIMEOUT); /* the ticker tries, too */
  CHECK(edr_clock_now_ms() - before < 2000);
  CHECK(edr_stream_queued(&p.stream) > 0 && (edr_stream_events(&p.stream) & POLLOUT) != 0);
  CHECK(edr_stream_queue(&p.stream, (const uint8_t *)"next", 4) == EDR_OK);
  CHECK(edr_stream_write(&p.stream, (const uint8_t *)"more", 4, LARGE * 2, in_ms(100)) ==
        EDR_OK); /* it may wait its turn */
  for (size = 0; size < LARGE + 8;) {
    const size_t more = drain(p.fd, got + size, LARGE + 8 - size, 5);
    (void)edr_stream_read(&p.stream, 0);
    if (more == 0 && edr_stream_queued(&p.stream) == 0) break;
    size += more;
  }
  for (i = 0; i < LARGE && same; i++) same = got[i] == large[i];
  CHECK(same && size == LARGE + 8 && memcmp(got + LARGE, "nextmore", 8) == 0);
  CHECK(edr_stream_queued(&p.stream) == 0);
  free(large);
  free(got);
  close_peer(&p);
}

typedef struct talker {
  int fd;
  atomic_bool stop;
} talker;

static void *talk(void *context) {
  talker *t = context;
  static const uint8_t frames[4096]; /* ticks, a thousand of them */
  while (!atomic_load(&t->stop)) {
    if (send(t->fd, frames, sizeof frames, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN) break;
  }
  return NULL;
}

/* A peer that talks without pause and does not listen cannot stretch a write's deadline. */
static void test_flood(void) {
  uint8_t *large = calloc(1, LARGE);
  pthread_t thread;
  int64_t before;
  peer p;
  talker t;
  open_peer(&p, 60000);
  t.fd = p.fd;
  atomic_init(&t.stop, false);
  CHECK(pthread_create(&thread, NULL, talk, &t) == 0);
  before = edr_clock_now_ms();
  CHECK(edr_stream_write(&p.stream, large, LARGE, 0, in_ms(200)) == EDR_ETIMEOUT);
  CHECK(edr_clock_now_ms() - before < 3000);
  atomic_store(&t.stop, true);
  pthread_join(thread, NULL);
  free(large);
  close_peer(&p);
}

/* The peer said something and went. That is found by writing; what it said is still handed over, then the stream is
 * broken. */
static void test_last_words(void) {
  peer p;
  open_peer(&p, 60000);
  put(&p, "\0\0\0\1z", 5);
  close(p.fd);
  p.fd = -1;
  CHECK(edr_stream_queue(&p.stream, (const uint8_t *)"lost", 4) == EDR_ENODEDOWN);
  CHECK(p.frames == 0);
  (void)edr_stream_read(&p.stream, in_ms(1000));
  CHECK(p.frames == 1 && p.last == 'z');
  CHECK(edr_stream_read(&p.stream, in_ms(1000)) == EDR_ENODEDOWN && p.stream.broken == EDR_ENODEDOWN);
  CHECK(edr_stream_write(&p.stream, (const uint8_t *)"lost", 4, 0, in_ms(10)) == EDR_ENODEDOWN);
  close_peer(&p);
  CHECK(edr_stream_read(&p.stream, 0) == EDR_ENODEDOWN && edr_stream_queued(&p.stream) == 0);

  open_peer(&p, 60000); /* and by a write that waits */
  put(&p, "\0\0\0\1z", 5);
  close(p.fd);
  p.fd = -1;
  CHECK(edr_stream_write(&p.stream, (const uint8_t *)"lost", 4, 0, in_ms(1000)) == EDR_ENODEDOWN && p.frames == 1);
  close_peer(&p);
}

/* The callback queues for each frame, also when nobody is there any more: the frames that came are all seen. */
static void test_reentrant(void) {
  uint8_t got[16];
  int i;
  peer p;
  open_peer(&p, 60000);
  p.echo = "pong";
  for (i = 0; i < 3; i++) put(&p, "\0\0\0\1z", 5);
  CHECK(edr_stream_read(&p.stream, in_ms(1000)) == EDR_OK && p.frames == 3);
  CHECK(drain(p.fd, got, 12, 1000) == 12 && memcmp(got, "pongpongpong", 12) == 0);
  for (i = 0; i < 3; i++) put(&p, "\0\0\0\1z", 5);
  close(p.fd);
  p.fd = -1;
  (void)edr_stream_read(&p.stream, in_ms(1000));
  CHECK(p.frames == 6);
  close_peer(&p);
}

static void test_broken(void) {
  peer p;
  open_peer(&p, 60000); /* a frame over the limit */
  put(&p, "\xff\xff\xff\xff", 4);
  CHECK(edr_stream_read(&p.stream, in_ms(1000)) == EDR_ELIMIT && edr_stream_read(&p.stream, in_ms(10)) == EDR_ELIMIT);
  close_peer(&p);
  open_peer(&p, 60000); /* what the callback refuses */
  p.answer = EDR_EPROTOCOL;
  put(&p, "\0\0\0\1a\0\0\0\1b", 10);
  CHECK(edr_stream_read(&p.stream, in_ms(1000)) == EDR_EPROTOCOL && p.frames == 1);
  close_peer(&p);
  open_peer(&p, 60000);
  edr_stream_close(&p.stream);
  CHECK(edr_stream_read(&p.stream, in_ms(10)) == EDR_ECLOSED && edr_stream_queue(&p.stream, NULL, 0) == EDR_ECLOSED);
  close_peer(&p);
}

static void on_alarm(int number) {
  (void)number;
}

static void test_interrupted(void) {
  struct sigaction action, before;
  struct itimerval soon = {{0, 0}, {0, 30000}};
  peer p;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  open_peer(&p, 5); /* the ticker takes no signals */
  sigaction(SIGALRM, &action, &before);
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK(edr_stream_read(&p.stream, in_ms(5000)) == EDR_EINTERRUPTED);
  put(&p, "\0\0\0\1a", 5);
  CHECK(edr_stream_read(&p.stream, in_ms(1000)) == EDR_OK && p.frames == 1);
  sigaction(SIGALRM, &before, NULL);
  close_peer(&p);
}

/* Owner and ticker write at the same time, thousands of times: what comes out are whole frames and ticks. */
static void test_race(void) {
  static const uint8_t frame[] = {0, 0, 0, 5, 'f', 'r', 'a', 'm', 'e'};
  enum { FRAMES = 3000 };
  uint8_t *got = malloc(FRAMES * 64);
  size_t size = 0, at = 0, frames = 0;
  int i;
  bool whole = true;
  peer p;
  open_peer(&p, 1);
  for (i = 0; i < FRAMES; i++) {
    CHECK(edr_stream_queue(&p.stream, frame, sizeof frame) == EDR_OK);
    if (i % 50 == 0) {
      struct timespec pause = {0, 1500000};
      nanosleep(&pause, NULL);
      size += drain(p.fd, got + size, (size_t)FRAMES * 64 - size, 0);
      size += drain(p.fd, got + size, (size_t)FRAMES * 64 - size, 1);
    }
  }
  CHECK(edr_stream_drain(&p.stream, 0, in_ms(1000)) == EDR_OK);
  edr_stream_close(&p.stream);
  size += drain(p.fd, got + size, (size_t)FRAMES * 64 - size, 200);
  while (at < size && whole) {
    if (size - at >= sizeof frame && memcmp(got + at, frame, sizeof frame) == 0) {
      at += sizeof frame;
      frames++;
    } else {
      whole = size - at >= 4 && memcmp(got + at, "\0\0\0\0", 4) == 0;
      at += 4;
    }
  }
  CHECK(whole && frames == FRAMES && size > FRAMES * sizeof frame);
  free(got);
  close_peer(&p);
}

int main(void) {
  test_cut();
  test_late();
  test_ticks();
  test_deaf();
  test_flood();
  test_last_words();
  test_reentrant();
  test_broken();
  test_interrupted();
  test_race();
  return check_done();
}
