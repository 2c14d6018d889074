/* A growable run of bytes, the only one in the core. A failed allocation is remembered (`failed`): writers append
 * without checking each step and ask once, at the end. Knows nothing of what the bytes mean. */
#ifndef EDR_BUF_H
#define EDR_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct edr_buf {
  uint8_t *data;
  size_t size;     /* bytes in use */
  size_t capacity; /* bytes allocated */
  bool failed;     /* an allocation failed, or a size overflowed; what was appended since is lost */
} edr_buf;

void edr_buf_init(edr_buf *buf);

/* Frees the bytes and leaves an empty, usable buffer. Idempotent. */
void edr_buf_deinit(edr_buf *buf);

/* Empties the buffer, keeps the memory, forgets a failure. */
void edr_buf_clear(edr_buf *buf);

/* Makes room for `extra` more bytes. EDR_ENOMEM (and `failed`) where that cannot be had. */
edr_status edr_buf_reserve(edr_buf *buf, size_t extra);

/* Appends `size` bytes; nothing where `failed`. */
void edr_buf_append(edr_buf *buf, const void *bytes, size_t size);
void edr_buf_put_u8(edr_buf *buf, uint8_t value);
void edr_buf_put_u16(edr_buf *buf, uint16_t value); /* big-endian, as are all below */
void edr_buf_put_u32(edr_buf *buf, uint32_t value);
void edr_buf_put_u64(edr_buf *buf, uint64_t value);

/* Overwrites four bytes at `offset` (a length that is known only afterwards); nothing where `failed` or out of range.
 */
void edr_buf_patch_u32(edr_buf *buf, size_t offset, uint32_t value);

/* Drops the first `size` bytes (at most all) and moves the rest to the front. */
void edr_buf_consume(edr_buf *buf, size_t size);

/* EDR_OK, or EDR_ENOMEM where something was lost. */
edr_status edr_buf_status(const edr_buf *buf);

#endif
