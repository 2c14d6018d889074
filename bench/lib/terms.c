/* bench/terms: the reader of the core over one term, without Lua. terms FILE ROUNDS prints the median microseconds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "etf.h"

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* Every token, one by one, as whoever makes values of them does. */
static edr_status walk(const uint8_t *data, size_t size) {
  edr_etf_reader reader;
  edr_etf_token token;
  edr_status status;
  edr_etf_reader_init(&reader, data, size, NULL);
  status = edr_etf_read_version(&reader);
  while (status == EDR_OK && !edr_etf_reader_at_end(&reader)) status = edr_etf_next(&reader, &token);
  edr_etf_reader_deinit(&reader);
  return status;
}

int main(int argc, char **argv) {
  enum { MAX_SIZE = 64 * 1024 * 1024, MAX_ROUNDS = 101 };
  static uint8_t data[MAX_SIZE];
  int64_t times[MAX_ROUNDS];
  const int rounds = argc == 3 ? atoi(argv[2]) : 0;
  FILE *file = rounds > 0 && rounds <= MAX_ROUNDS ? fopen(argv[1], "rb") : NULL;
  size_t size;
  int i;

  if (file == NULL) return 2;
  size = fread(data, 1, sizeof data, file);
  fclose(file);
  for (i = 0; i < rounds; i++) {
    const int64_t before = now_ns();
    if (walk(data, size) != EDR_OK) return 1;
    times[i] = now_ns() - before;
  }
  qsort(times, (size_t)rounds, sizeof times[0], compare);
  printf("%.1f\n", (double)times[rounds / 2] / 1000);
  return 0;
}
