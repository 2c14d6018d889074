/* MD5, as the distribution's handshake and BEAM files want it. OpenSSL's plain functions: they allocate nothing, cannot
 * fail, and need no provider. Not for anything that must not be forged. */
#ifndef EDR_MD5_H
#define EDR_MD5_H

#include <stddef.h>
#include <stdint.h>

#define EDR_MD5_SIZE 16

typedef struct edr_md5 {
  uint64_t state[16]; /* OpenSSL's own, which is smaller */
} edr_md5;

void edr_md5_init(edr_md5 *md5);
void edr_md5_add(edr_md5 *md5, const void *data, size_t size);

void edr_md5_end(edr_md5 *md5, uint8_t out_digest[EDR_MD5_SIZE]);

#endif
