/* What a tarball is checked with before it is sent: digests, and Ed25519 signatures as OpenSSL makes them. Reads from
 * open descriptors, from the beginning, and leaves them where they are. Knows no formats but the PEM of a key. */
#ifndef EDR_FILE_CHECK_H
#define EDR_FILE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum { EDR_DIGEST_MAX = 64, EDR_SIGNATURE_SIZE = 64 };

/* The digest ("md5", "sha256") of all that the file holds. EDR_EBADARG (no such digest), EDR_ESYSTEM. */
edr_status edr_digest_file(int fd, const char *name, uint8_t digest[EDR_DIGEST_MAX], size_t *out_size,
                           edr_error *error);

/* The CRC-32 of all that the file holds, as zlib and Erlang count it: for what is sent to be held against, since it
 * costs a node next to nothing. EDR_ESYSTEM. */
edr_status edr_crc32_file(int fd, uint32_t *out_crc, edr_error *error);

/* Whether `signature` is that of all that the file holds, by the owner of the Ed25519 public key in `pem`: as
 * `openssl pkeyutl -sign -rawin` makes it. The whole file is in memory meanwhile. EDR_EBADARG (no such key), EDR_EAUTH
 * (it is not), EDR_ENOMEM, EDR_ESYSTEM. */
edr_status edr_signature_check_file(int fd, const char *pem, size_t pem_size, const uint8_t *signature, size_t size,
                                    edr_error *error);

#endif
