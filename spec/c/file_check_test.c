/* Digests and Ed25519 signatures of files: what fits, and what does not. The key and the signature are RFC 8032's. */
#include "file_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* RFC 8032, 7.1, TEST 3: a message of two bytes. */
static const uint8_t message[] = {0xaf, 0x82};
static const uint8_t signature[EDR_SIGNATURE_SIZE] = {
    0x62, 0x91, 0xd6, 0x57, 0xde, 0xec, 0x24, 0x02, 0x48, 0x27, 0xe6, 0x9c, 0x3a, 0xbe, 0x01, 0xa3,
    0x0c, 0xe5, 0x48, 0xa2, 0x84, 0x74, 0x3a, 0x44, 0x5e, 0x36, 0x80, 0xd7, 0xdb, 0x5a, 0xc3, 0xac,
    0x18, 0xff, 0x9b, 0x53, 0x8d, 0x16, 0xf2, 0x90, 0xae, 0x67, 0xf7, 0x60, 0x98, 0x4d, 0xc6, 0x59,
    0x4a, 0x7c, 0x15, 0xe9, 0x71, 0x6e, 0xd2, 0x8d, 0xc0, 0x27, 0xbe, 0xce, 0xea, 0x1e, 0xc4, 0x0a};
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MCowBQYDK2VwAyEA/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=\n"
                          "-----END PUBLIC KEY-----\n";

static int file_with(const void *bytes, size_t size) {
  char path[] = "/tmp/edr_check_XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0 && unlink(path) == 0);
  CHECK(write(fd, bytes, size) == (ssize_t)size);
  return fd;
}

static void test_digest(void) {
  uint8_t digest[EDR_DIGEST_MAX];
  edr_error error = {EDR_OK, 0, ""};
  size_t size = 0;
  uint32_t crc = 0;
  char *big = calloc(1, 200000);
  int fd = file_with("abc", 3);
  CHECK(edr_digest_file(fd, "md5", digest, &size, &error) == EDR_OK && size == 16);
  CHECK(memcmp(digest, "\x90\x01\x50\x98\x3c\xd2\x4f\xb0\xd6\x96\x3f\x7d\x28\xe1\x7f\x72", 16) == 0);
  CHECK(edr_digest_file(fd, "sha256", digest, &size, &error) == EDR_OK && size == 32 && digest[0] == 0xba);
  CHECK(edr_digest_file(fd, "none", digest, &size, &error) == EDR_EBADARG && size == 32);
  CHECK(edr_crc32_file(fd, &crc, &error) == EDR_OK && crc == 0x352441c2);
  CHECK(lseek(fd, 0, SEEK_CUR) == 3);
  close(fd);
  CHECK(edr_crc32_file(fd, &crc, &error) == EDR_ESYSTEM && crc == 0x352441c2);
  CHECK(edr_digest_file(fd, "md5", digest, &size, &error) == EDR_ESYSTEM);
  fd = file_with(big, 200000); /* several chunks */
  CHECK(edr_digest_file(fd, "md5", digest, &size, &error) == EDR_OK);
  CHECK(edr_crc32_file(fd, &crc, &error) == EDR_OK && crc == 0x5ce0587b);
  close(fd);
  free(big);
}

static edr_status check(int fd, const char *key, const uint8_t *given, size_t size) {
  edr_error error = {EDR_OK, 0, ""};
  return edr_signature_check_file(fd, key, strlen(key), given, size, &error);
}

static void test_signature(void) {
  uint8_t other[EDR_SIGNATURE_SIZE];
  size_t i;
  int fd = file_with(message, sizeof message);
  CHECK(check(fd, pem, signature, sizeof signature) == EDR_OK);
  for (i = 0; i < sizeof signature; i++) {
    memcpy(other, signature, sizeof other);
    other[i] ^= 1;
    CHECK(check(fd, pem, other, sizeof other) == EDR_EAUTH);
    CHECK(check(fd, pem, signature, i) == EDR_EAUTH);
  }
  CHECK(check(fd, "no key", signature, sizeof signature) == EDR_EBADARG);
  CHECK(write(fd, "x", 1) == 1);
  CHECK(check(fd, pem, signature, sizeof signature) == EDR_EAUTH);
  close(fd);
  CHECK(check(fd, pem, signature, sizeof signature) == EDR_ESYSTEM);
}

int main(void) {
  test_digest();
  test_signature();
  return check_done();
}
