/* Files that are nobody else's; the contract is in private_file.h. */
#include "private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

edr_status edr_file_open(const char *path, int flags, int *out_fd, struct stat *out_about, edr_error *error) {
  int number, fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
  if (fd < 0 || fstat(fd, out_about) != 0) {
    number = errno;
    if (fd >= 0) close(fd);
    /* A pipe that nobody reads (ENXIO), and a folder that is to be written (EISDIR), fail before they can be looked at.
     */
    if (number == ENXIO || number == EISDIR)
      return edr_error_set(error, EDR_EBADARG, 0, "%.300s is not a plain file", path);
    if (number == ELOOP && (flags & O_NOFOLLOW) != 0)
      return edr_error_set(error, EDR_ESYSTEM, number, "%.300s is a symbolic link, which is not followed here", path);
    return edr_error_set(error, EDR_ESYSTEM, number, "%.300s cannot be %s: %s", path,
                         (flags & O_ACCMODE) == O_RDONLY ? "read" : "written", strerror(number));
  }
  if (!S_ISREG(out_about->st_mode)) {
    close(fd);
    return edr_error_set(error, EDR_EBADARG, 0, "%.300s is not a plain file", path);
  }
  *out_fd = fd;
  return EDR_OK;
}

edr_status edr_file_check_private(const struct stat *about, const char *path, edr_error *error) {
  if (about->st_uid != geteuid() && about->st_uid != 0)
    return edr_error_set(error, EDR_ENOTALLOWED, 0,
                         "%.300s belongs to another user (%lu), who could change it: use a file of your own", path,
                         (unsigned long)about->st_uid);
  if ((about->st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return edr_error_set(error, EDR_ENOTALLOWED, 0, "others than its owner can use %.300s (mode %04o): chmod 600 it",
                         path, (unsigned)(about->st_mode & 07777));
  return EDR_OK;
}
