/* Reads a tar archive, fed in pieces of any size: ustar, pax (path, linkpath, size) and GNU (long names, large sizes).
 * It gives no entry whose unpacking could leave the folder it is unpacked to, or write over another entry. Knows no
 * files. Source: POSIX pax, "ustar Interchange Format" and "pax Interchange Format"; GNU tar, "Basic Tar Format".
 *
 * Refused are names that are absolute, climb (".."), are there twice (folders may be) or lead through what is no
 * folder; symbolic links that are absolute or lead out of the archive, hard links to what is no file before them;
 * devices and the like. */
#ifndef EDR_TAR_H
#define EDR_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "status.h"

#define EDR_TAR_BLOCK 512
#define EDR_TAR_MAX_NAME 4096 /* bytes */

typedef enum edr_tar_kind { EDR_TAR_FILE, EDR_TAR_FOLDER, EDR_TAR_SYMLINK, EDR_TAR_HARD_LINK } edr_tar_kind;

typedef struct edr_tar_limits {
  uint64_t max_file;   /* bytes of one file */
  size_t max_entries;  /* folders that are only implied count, too */
  size_t max_metadata; /* bytes of one pax header or long name */
} edr_tar_limits;

/* 1 GiB, 500,000, 1 MiB. */
extern const edr_tar_limits edr_tar_default_limits;

typedef enum edr_tar_event { EDR_TAR_ENTRY, EDR_TAR_DATA, EDR_TAR_END } edr_tar_event;

/* Every name is relative, without "." and empty parts, and terminated. */
typedef struct edr_tar_entry {
  edr_tar_kind kind;
  const char *name;
  const char *target; /* of links, as it is in the archive; else "" */
  uint64_t size;      /* of a file; else 0 */
  uint32_t mode;
} edr_tar_entry;

/* A name that has been seen. */
typedef struct edr_tar_known {
  uint64_t hash;
  size_t name; /* offset in `names`, terminated; 0: this slot is free */
  edr_tar_kind kind;
} edr_tar_known;

typedef struct edr_tar {
  edr_tar_limits limits;
  uint64_t offset; /* bytes of the archive read so far */
  const char *problem;
  uint8_t block[EDR_TAR_BLOCK];
  size_t block_size;
  int state;          /* see tar.c */
  uint64_t left;      /* of what is read now */
  uint64_t padding;   /* behind it */
  uint8_t meta_type;  /* what `meta` becomes */
  edr_buf meta;       /* a header that is being read */
  edr_buf path, link; /* what headers before the next entry say, and then its own names */
  bool was_given;     /* the entry that they are of */
  bool has_size;
  uint64_t size; /* what a pax header says */
  edr_buf names; /* all that were seen */
  edr_tar_known *known;
  size_t known_count, known_capacity; /* a power of two */
  uint64_t seed;
} edr_tar;

/* `limits` may be NULL for the defaults. `seed` should be hard to guess: it keeps names from being made to collide. */
void edr_tar_init(edr_tar *tar, const edr_tar_limits *limits, uint64_t seed);
void edr_tar_deinit(edr_tar *tar);

/* Reads on. EDR_OK with an event: a new entry (`out_entry`, whose texts hold until the next call), a part of its
 * content (at `data`, `*out_size` bytes of it), or the end. EDR_EAGAIN when all bytes were read. `*out_used` bytes of
 * `data` are done with; of an EDR_TAR_DATA, the content is the last `*out_size` of those. EDR_EPROTOCOL, EDR_ELIMIT,
 * EDR_ENOTSUP, EDR_ENOMEM: `problem` says why, `offset` where; it stays so. */
edr_status edr_tar_next(edr_tar *tar, const uint8_t *data, size_t size, size_t *out_used, edr_tar_event *out_event,
                        edr_tar_entry *out_entry, size_t *out_size);

#endif
