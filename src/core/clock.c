#include "clock.h"

#include <limits.h>
#include <time.h>

int64_t edr_clock_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t edr_clock_now_ms(void) {
  return edr_clock_now_us() / 1000;
}

int64_t edr_deadline_after(int64_t timeout_ms) {
  int64_t now;
  if (timeout_ms < 0) return EDR_NEVER;
  now = edr_clock_now_ms();
  return timeout_ms > EDR_NEVER - now ? EDR_NEVER : now + timeout_ms;
}

int edr_deadline_poll_ms(int64_t deadline_ms) {
  int64_t left;
  if (deadline_ms == EDR_NEVER) return -1;
  left = deadline_ms - edr_clock_now_ms();
  if (left <= 0) return 0;
  return left > INT_MAX ? INT_MAX : (int)left;
}
