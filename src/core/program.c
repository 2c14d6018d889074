/* The program that we run in; the contract is in program.h. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

void edr_program_open_standard(void) {
  int fd, opened;
  for (fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    /* The lowest that is free, so this one; programs that we start have it, too. */
    opened = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY); /* NOLINT(android-cloexec-open) */
    if (opened > 2) close(opened);
  }
}

/* RLIMIT_CORE would not do: it is not asked where dumps go to a program (systemd-coredump, apport). */
int edr_program_no_core_dumps(void) {
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : errno;
}
