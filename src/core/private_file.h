/* Files that hold secrets (cookies, keys) or that tell us what to do (journals): opened without waiting for anybody,
 * and looked at by the open descriptor, never by name. Knows nothing of what is in them. */
#ifndef EDR_PRIVATE_FILE_H
#define EDR_PRIVATE_FILE_H

#include <sys/stat.h>

#include "status.h"

/* Opens a plain file; `flags` as for open(2), to which O_CLOEXEC and O_NONBLOCK are added, a new file gets mode 0600.
 * The caller closes `out_fd`. EDR_ESYSTEM (with errno), EDR_EBADARG where it is a folder, a pipe or a device. */
edr_status edr_file_open(const char *path, int flags, int *out_fd, struct stat *out_about, edr_error *error);

/* EDR_OK where the file is ours (the effective user's) or root's, and nobody else can use it; EDR_ENOTALLOWED. */
edr_status edr_file_check_private(const struct stat *about, const char *path, edr_error *error);

/* Makes a folder, and those above it that are missing, with mode 0700; it may be there already. `path` is absolute. No
 * symbolic link of another user is followed on the way, so that nobody sends root elsewhere through a home folder.
 * EDR_ENOTALLOWED: there is such a link, or the folder is not the effective user's, or others can write in it;
 * EDR_EBADARG: the path is not absolute, or leads to what is no folder; EDR_ESYSTEM. */
edr_status edr_folder_make_private(const char *path, edr_error *error);

#endif
