/* The line that moves: what it writes, that nothing is written once it is hidden, and a terminal that takes nothing. */
#define _GNU_SOURCE /* pipe2 */
#include "spinner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"

static char seen[65536];
static size_t seen_size;

/* Reads what is there. */
static void take(int fd) {
  ssize_t got;
  while ((got = read(fd, seen + seen_size, sizeof seen - 1 - seen_size)) > 0) seen_size += (size_t)got;
  seen[seen_size] = '\0';
}

/* Reads until a text was written; whether it was, in time. */
static bool wait_for(int fd, const char *text) {
  const int64_t until = edr_deadline_after(20000);
  while (edr_clock_now_ms() < until) {
    struct pollfd item = {fd, POLLIN, 0};
    take(fd);
    if (strstr(seen, text) != NULL) return true;
    (void)poll(&item, 1, 100);
  }
  return false;
}

static void test_moves(void) {
  int ends[2];
  size_t before;
  CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  CHECK(edr_spinner_show(ends[1], "working") == EDR_OK);
  CHECK(wait_for(ends[0], "\r\033[K\u280b working") && wait_for(ends[0], "\u2819 working"));
  CHECK(wait_for(ends[0], "working 1 s"));
  CHECK(edr_spinner_show(ends[1], "resting") == EDR_OK);
  CHECK(wait_for(ends[0], " resting"));
  edr_spinner_hide();
  take(ends[0]);
  before = seen_size;
  CHECK(before >= 4 && memcmp(seen + before - 4, "\r\033[K", 4) == 0);
  (void)poll(NULL, 0, 300);
  take(ends[0]);
  CHECK(seen_size == before);
  edr_spinner_hide();
  close(ends[0]);
  close(ends[1]);
}

static void test_short_wait_shows_nothing(void) {
  int ends[2];
  const int64_t begun = edr_clock_now_ms();
  CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  CHECK(edr_spinner_show(ends[1], "quick") == EDR_OK);
  edr_spinner_hide();
  seen_size = 0;
  take(ends[0]);
  CHECK(seen_size == 0 || edr_clock_now_ms() - begun > 100);
  close(ends[0]);
  close(ends[1]);
}

static void test_full(void) {
  int ends[2];
  char text[EDR_SPINNER_TEXT_MAX * 2];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
  while (write(ends[1], text, sizeof text) > 0) {
  }
  CHECK(errno == EAGAIN && fcntl(ends[1], F_SETFL, 0) == 0);
  CHECK(edr_spinner_show(ends[1], text) == EDR_OK);
  (void)poll(NULL, 0, 400);
  edr_spinner_hide(); /* returns, though the other end reads nothing */
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  test_moves();
  test_short_wait_shows_nothing();
  test_full();
  CHECK(edr_spinner_columns(-1) == 0);
  return check_done();
}
