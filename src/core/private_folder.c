/* A folder that is nobody else's; the contract is in private_file.h. */
#define _GNU_SOURCE /* O_PATH: a folder above ours may be one that we can pass and not read */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private_file.h"

enum { MAX_LINKS = 40, PASS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* A walk from the root: the folder that it has come to, and the names that are left. */
typedef struct walk {
  const char *path;
  int fd, links;
  char rest[PATH_MAX];
} walk;

static edr_status failed(const walk *self, int number, edr_error *error) {
  if (number == ENOTDIR || number == ELOOP)
    return edr_error_set(error, EDR_EBADARG, number, "%.300s is not a folder: %s", self->path, strerror(number));
  return edr_error_set(error, EDR_ESYSTEM, number, "the folder %.300s cannot be made: %s", self->path,
                       strerror(number));
}

static bool is_trusted(uid_t owner) {
  return owner == geteuid() || owner == 0;
}

/* 0, or the errno. */
static int enter(walk *self, const char *name) {
  int next = openat(self->fd, name, PASS);
  if (next < 0) return errno;
  close(self->fd);
  self->fd = next;
  return 0;
}

/* Puts what a link of this name says in front of the names that are left. */
static edr_status follow(walk *self, const char *name, const char *after, edr_error *error) {
  char target[PATH_MAX], rest[PATH_MAX];
  ssize_t length = readlinkat(self->fd, name, target, sizeof target - 1);
  if (length < 0) return failed(self, errno, error);
  target[length] = '\0';
  if (++self->links > MAX_LINKS) return failed(self, ELOOP, error);
  if (snprintf(rest, sizeof rest, "%s/%s", target, after) >= (int)sizeof rest) return failed(self, ENAMETOOLONG, error);
  memcpy(self->rest, rest, sizeof rest);
  if (target[0] == '/') {
    int number = enter(self, "/");
    if (number != 0) return failed(self, number, error);
  }
  return EDR_OK;
}

/* One name further, which is made where it is missing. */
static edr_status step(walk *self, edr_error *error) {
  char name[NAME_MAX + 1];
  struct stat about;
  const char *from = self->rest + strspn(self->rest, "/");
  size_t length = strcspn(from, "/");
  char after[PATH_MAX];
  int number;
  if (length > NAME_MAX) return failed(self, ENAMETOOLONG, error);
  memcpy(name, from, length);
  name[length] = '\0';
  strcpy(after, from + length);
  if (mkdirat(self->fd, name, 0700) != 0 && errno != EEXIST) return failed(self, errno, error);
  if (fstatat(self->fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0) return failed(self, errno, error);
  if (S_ISLNK(about.st_mode)) {
    if (is_trusted(about.st_uid)) return follow(self, name, after, error);
    return edr_error_set(
        error, EDR_ENOTALLOWED, 0,
        "on the way to the folder %.300s, %.80s is a symbolic link of another user (%lu), which is not "
        "followed",
        self->path, name, (unsigned long)about.st_uid);
  }
  number = enter(self, name);
  if (number != 0) return failed(self, number, error);
  strcpy(self->rest, after);
  return EDR_OK;
}

/* Whose the folder is that the walk has ended in. */
static edr_status check(const walk *self, edr_error *error) {
  struct stat about;
  if (fstat(self->fd, &about) != 0) return failed(self, errno, error);
  if (about.st_uid != geteuid())
    return edr_error_set(error, EDR_ENOTALLOWED, 0,
                         "the folder %.300s belongs to another user (%lu), who could change what is in it", self->path,
                         (unsigned long)about.st_uid);
  if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return edr_error_set(error, EDR_ENOTALLOWED, 0, "others can write in the folder %.300s (mode %04o): chmod 700 it",
                         self->path, (unsigned)(about.st_mode & 07777));
  return EDR_OK;
}

edr_status edr_folder_make_private(const char *path, edr_error *error) {
  walk self = {path, -1, 0, ""};
  edr_status status = EDR_OK;
  if (path[0] != '/') return edr_error_set(error, EDR_EBADARG, 0, "%.300s is not an absolute path", path);
  if (strlen(path) >= sizeof self.rest) return failed(&self, ENAMETOOLONG, error);
  strcpy(self.rest, path);
  self.fd = open("/", PASS);
  if (self.fd < 0) return failed(&self, errno, error);
  while (status == EDR_OK && self.rest[strspn(self.rest, "/")] != '\0') status = step(&self, error);
  if (status == EDR_OK) status = check(&self, error);
  close(self.fd);
  return status;
}
