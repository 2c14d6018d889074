/* Files that are nobody else's: what is opened, what is refused, and that nothing waits or is inherited. */
#include "private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char folder[] = "/tmp/edr_private_XXXXXX";

static const char *in_folder(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void check_open(const char *name, int flags, edr_status expected, const char *words) {
  edr_error error = {EDR_OK, 0, ""};
  struct stat about;
  int fd = -1;
  CHECK(edr_file_open(in_folder(name), flags, &fd, &about, &error) == expected);
  CHECK(strstr(error.text, words) != NULL);
  if (fd >= 0) {
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
  }
}

static void test_open(void) {
  check_open("made", O_RDONLY, EDR_ESYSTEM, "cannot be read");
  umask(0);
  check_open("made", O_WRONLY | O_CREAT | O_EXCL, EDR_OK, "");
  check_open("made", O_RDONLY, EDR_OK, "");
  check_open("made", O_WRONLY | O_CREAT | O_EXCL, EDR_ESYSTEM, "File exists");
  CHECK(mkdir(in_folder("folder"), 0700) == 0);
  check_open("folder", O_RDONLY, EDR_EBADARG, "not a plain file");
  check_open("folder", O_WRONLY, EDR_EBADARG, "not a plain file");
  CHECK(mkfifo(in_folder("pipe"), 0600) == 0);
  check_open("pipe", O_RDONLY, EDR_EBADARG, "not a plain file");
  check_open("pipe", O_WRONLY, EDR_EBADARG, "not a plain file");
  CHECK(symlink("made", in_folder("link")) == 0);
  check_open("link", O_RDONLY, EDR_OK, "");
  check_open("link", O_WRONLY | O_NOFOLLOW, EDR_ESYSTEM, "symbolic link");
}

static void check_private(uid_t owner, mode_t mode, edr_status expected, const char *words) {
  edr_error error = {EDR_OK, 0, ""};
  struct stat about;
  memset(&about, 0, sizeof about);
  about.st_uid = owner;
  about.st_mode = S_IFREG | mode;
  CHECK(edr_file_check_private(&about, "/the/file", &error) == expected);
  CHECK(strstr(error.text, words) != NULL && (expected == EDR_OK || strstr(error.text, "/the/file") != NULL));
}

int main(void) {
  struct stat about;
  CHECK(mkdtemp(folder) != NULL);
  test_open();
  CHECK(stat(in_folder("made"), &about) == 0 && (about.st_mode & 07777) == 0600);
  check_private(geteuid(), 0600, EDR_OK, "");
  check_private(0, 0400, EDR_OK, "");
  check_private(geteuid() + 1, 0400, EDR_ENOTALLOWED, "another user"); /* also where we are root */
  check_private(geteuid(), 0640, EDR_ENOTALLOWED, "(mode 0640)");
  check_private(geteuid(), 0602, EDR_ENOTALLOWED, "chmod 600");
  unlink(in_folder("made"));
  unlink(in_folder("link"));
  unlink(in_folder("pipe"));
  rmdir(in_folder("folder"));
  rmdir(folder);
  return check_done();
}
