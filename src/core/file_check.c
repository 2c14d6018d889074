/* Digests and signatures of files; the contract is in file_check.h. */
#include "file_check.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { CHUNK = 65536 };

static edr_status unreadable(edr_error *error) {
  int number = errno;
  return edr_error_set(error, EDR_ESYSTEM, number, "the file cannot be read: %s", strerror(number));
}

static ssize_t read_at(int fd, uint8_t *to, size_t size, off_t at) {
  ssize_t count;
  do {
    count = pread(fd, to, size, at);
  } while (count < 0 && errno == EINTR);
  return count;
}

static edr_status feed(int fd, EVP_MD_CTX *context, edr_error *error) {
  uint8_t chunk[CHUNK];
  off_t at = 0;
  for (;;) {
    ssize_t count = read_at(fd, chunk, sizeof chunk, at);
    if (count < 0) return unreadable(error);
    if (count == 0) return EDR_OK;
    if (EVP_DigestUpdate(context, chunk, (size_t)count) != 1)
      return edr_error_set(error, EDR_ENOMEM, 0, "out of memory");
    at += count;
  }
}

edr_status edr_digest_file(int fd, const char *name, uint8_t digest[EDR_DIGEST_MAX], size_t *out_size,
                           edr_error *error) {
  const EVP_MD *kind = EVP_get_digestbyname(name);
  EVP_MD_CTX *context;
  unsigned int size = 0;
  edr_status status;
  if (kind == NULL || EVP_MD_get_size(kind) > EDR_DIGEST_MAX)
    return edr_error_set(error, EDR_EBADARG, 0, "there is no digest %.40s", name);
  context = EVP_MD_CTX_new();
  if (context == NULL || EVP_DigestInit_ex(context, kind, NULL) != 1) {
    EVP_MD_CTX_free(context);
    return edr_error_set(error, EDR_ENOMEM, 0, "OpenSSL cannot compute %.40s", name);
  }
  status = feed(fd, context, error);
  if (status == EDR_OK && EVP_DigestFinal_ex(context, digest, &size) != 1)
    status = edr_error_set(error, EDR_ENOMEM, 0, "out of memory");
  EVP_MD_CTX_free(context);
  if (status == EDR_OK) *out_size = size;
  return status;
}

edr_status edr_crc32_file(int fd, uint32_t *out_crc, edr_error *error) {
  uint8_t chunk[CHUNK];
  uLong crc = crc32(0, NULL, 0);
  off_t at = 0;
  for (;;) {
    ssize_t count = read_at(fd, chunk, sizeof chunk, at);
    if (count < 0) return unreadable(error);
    if (count == 0) break;
    crc = crc32(crc, chunk, (uInt)count);
    at += count;
  }
  *out_crc = (uint32_t)crc;
  return EDR_OK;
}

/* NULL where it is no Ed25519 public key. */
static EVP_PKEY *read_key(const char *pem, size_t size) {
  BIO *bio = size > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)size);
  EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
  BIO_free(bio);
  if (key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) return key;
  EVP_PKEY_free(key);
  return NULL;
}

/* All of a file; the caller frees `out_bytes`. */
static edr_status read_all(int fd, uint8_t **out_bytes, size_t *out_size, edr_error *error) {
  struct stat about;
  size_t size, have = 0;
  uint8_t *bytes;
  if (fstat(fd, &about) != 0) return unreadable(error);
  size = (size_t)about.st_size;
  bytes = malloc(size + 1);
  if (bytes == NULL)
    return edr_error_set(error, EDR_ENOMEM, 0, "there is no memory for the %zu bytes of the file", size);
  while (have <= size) { /* one byte more than there should be shows that it grows */
    ssize_t count = read_at(fd, bytes + have, size + 1 - have, (off_t)have);
    if (count < 0) {
      edr_status status = unreadable(error);
      free(bytes);
      return status;
    }
    if (count == 0) break;
    have += (size_t)count;
  }
  if (have != size) {
    free(bytes);
    return edr_error_set(error, EDR_ESYSTEM, 0, "the file changes while it is read");
  }
  *out_bytes = bytes;
  *out_size = size;
  return EDR_OK;
}

edr_status edr_signature_check_file(int fd, const char *pem, size_t pem_size, const uint8_t *signature, size_t size,
                                    edr_error *error) {
  EVP_PKEY *key = read_key(pem, pem_size);
  EVP_MD_CTX *context;
  uint8_t *bytes = NULL;
  size_t count = 0;
  bool fits = false;
  edr_status status;
  if (key == NULL) return edr_error_set(error, EDR_EBADARG, 0, "it holds no Ed25519 public key in PEM");
  status = read_all(fd, &bytes, &count, error);
  if (status == EDR_OK) {
    context = EVP_MD_CTX_new();
    fits = context != NULL && size == EDR_SIGNATURE_SIZE && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
           EVP_DigestVerify(context, signature, size, bytes, count) == 1;
    EVP_MD_CTX_free(context);
    free(bytes);
    if (!fits) status = edr_error_set(error, EDR_EAUTH, 0, "the signature is not that of this file by that key");
  }
  EVP_PKEY_free(key);
  return status;
}
