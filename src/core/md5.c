/* MD5 by OpenSSL; the contract is in md5.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* OpenSSL 3 would have them called through providers, which FIPS mode may lack */
#include "md5.h"

#include <openssl/md5.h>

_Static_assert(sizeof(MD5_CTX) <= sizeof(edr_md5), "OpenSSL's state is larger than ours");

void edr_md5_init(edr_md5 *md5) {
  (void)MD5_Init((MD5_CTX *)md5);
}

void edr_md5_add(edr_md5 *md5, const void *data, size_t size) {
  if (size > 0) (void)MD5_Update((MD5_CTX *)md5, data, size);
}

void edr_md5_end(edr_md5 *md5, uint8_t out_digest[EDR_MD5_SIZE]) {
  (void)MD5_Final(out_digest, (MD5_CTX *)md5);
}
