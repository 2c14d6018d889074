/* A line that moves; contracts in spinner.h. */
#define _DEFAULT_SOURCE /* struct winsize */
#include "spinner.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { FIRST_MS = 150, EVERY_MS = 120, FRAME_SIZE = 3, FRAME_COUNT = 10, SECONDS_FROM_MS = 1000 };

/* One character of UTF-8 each. */
static const char frames[] = "\u280b\u2819\u2839\u2838\u283c\u2834\u2826\u2827\u2807\u280f";
static const char erase[] = "\r\033[K";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static pthread_t painter;
static bool ready, running, stopping; /* `running` is for those who call alone */
static int target;
static char shown[EDR_SPINNER_TEXT_MAX + 1];
static int64_t since_ms;
static bool painted;

/* A terminal that is stopped (Ctrl-S) takes nothing, and must not hold anybody up. */
static void put(const char *text, size_t size) {
  struct pollfd item = {target, POLLOUT, 0};
  if (poll(&item, 1, 0) == 1 && (item.revents & POLLOUT) != 0 && write(target, text, size) > 0) painted = true;
}

static void paint(size_t frame) {
  char line[EDR_SPINNER_TEXT_MAX + 64];
  const int64_t elapsed_ms = edr_clock_now_ms() - since_ms;
  int size = snprintf(line, sizeof line, "%s%.*s %s", erase, FRAME_SIZE, frames + frame * FRAME_SIZE, shown);
  if (elapsed_ms >= SECONDS_FROM_MS) {
    size += snprintf(line + size, sizeof line - (size_t)size, " %d s", (int)(elapsed_ms / 1000));
  }
  put(line, (size_t)size);
}

static void wait_ms(int ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (long)ms * 1000000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  while (!stopping && pthread_cond_timedwait(&wake, &lock, &until) == 0) {
  }
}

static void *run(void *unused) {
  size_t frame = 0;
  (void)unused;
  pthread_mutex_lock(&lock);
  for (wait_ms(FIRST_MS); !stopping; wait_ms(EVERY_MS)) {
    paint(frame);
    frame = (frame + 1) % FRAME_COUNT;
  }
  if (painted) put(erase, sizeof erase - 1);
  pthread_mutex_unlock(&lock);
  return NULL;
}

/* Signals are for the others. 0, or an errno. */
static int start(void) {
  sigset_t all, before;
  int problem;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  problem = pthread_create(&painter, NULL, run, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return problem;
}

static void prepare(void) {
  pthread_condattr_t attributes;
  if (ready) return;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&wake, &attributes);
  pthread_condattr_destroy(&attributes);
  ready = true;
}

edr_status edr_spinner_show(int fd, const char *text) {
  prepare();
  pthread_mutex_lock(&lock);
  snprintf(shown, sizeof shown, "%s", text);
  since_ms = edr_clock_now_ms();
  target = fd;
  pthread_mutex_unlock(&lock);
  if (running) return EDR_OK;
  stopping = painted = false;
  running = start() == 0;
  return running ? EDR_OK : EDR_ESYSTEM;
}

void edr_spinner_hide(void) {
  if (!running) return;
  pthread_mutex_lock(&lock);
  stopping = true;
  pthread_cond_signal(&wake);
  pthread_mutex_unlock(&lock);
  pthread_join(painter, NULL);
  running = false;
}

int edr_spinner_columns(int fd) {
  struct winsize size;
  memset(&size, 0, sizeof size);
  return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
