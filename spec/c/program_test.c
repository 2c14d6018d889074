/* The program that we run in: closed standard descriptors are taken by nothing else, and its memory is dumped nowhere.
 */
#define _DEFAULT_SOURCE /* WCOREDUMP */
#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static bool is_null(int fd) {
  struct stat one, other;
  return fstat(fd, &one) == 0 && stat("/dev/null", &other) == 0 && one.st_rdev == other.st_rdev;
}

/* In a child: its exit status says whether all was well. */
static int with_closed(int mask) {
  int fd, next;
  for (fd = 0; fd <= 2; fd++) {
    if ((mask & 1 << fd) != 0) close(fd);
  }
  edr_program_open_standard();
  for (fd = 0; fd <= 2; fd++) {
    if ((mask & 1 << fd) != 0 && (!is_null(fd) || (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0)) return 1;
  }
  next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return next > 2 ? 0 : 2;
}

static int end_of(int (*run)(int), int argument) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) _exit(run(argument));
  waitpid(child, &status, 0);
  return status;
}

static int crash(int quietly) {
  const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  (void)setrlimit(RLIMIT_CORE, &unlimited);
  if (chdir("/tmp") != 0) return 1;
  if (quietly && (edr_program_no_core_dumps() != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)) return 1;
  signal(SIGABRT, SIG_DFL);
  abort();
}

int main(void) {
  int mask, status;
  for (mask = 0; mask < 8; mask++) CHECK(end_of(with_closed, mask) == 0);
  status = end_of(crash, 1);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status));
  return check_done();
}
