/* What the C tests share: CHECK counts and goes on, `check_done` is main's return value. */
#ifndef EDR_CHECK_H
#define EDR_CHECK_H

#include <stdio.h>

static int check_count, check_failures;

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    check_count++;                                                                                                     \
    if (!(condition)) {                                                                                                \
      check_failures++;                                                                                                \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                          \
    }                                                                                                                  \
  } while (0)

static int check_done(void) {
  printf("%d checks, %d failed\n", check_count, check_failures);
  return check_failures == 0 && check_count > 0 ? 0 : 1;
}

#endif
