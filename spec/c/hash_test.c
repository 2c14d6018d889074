/* The hash gives what XXH64 gives: the values of its specification's own test, and of the reference program. */
#include <string.h>

#include "check.h"
#include "hash.h"

int main(void) {
  const char *text = "Nobody inspects the spammish repetition";
  uint8_t moved[64];
  CHECK(edr_hash((const uint8_t *)"", 0, 0) == 0xEF46DB3751D8E999u);
  CHECK(edr_hash((const uint8_t *)"a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
  CHECK(edr_hash((const uint8_t *)"abc", 3, 0) == 0x44BC2CF5AD770999u);
  CHECK(edr_hash((const uint8_t *)text, strlen(text), 0) == 0xFBCEA83C8A378BF1u);
  for (size_t i = 0; i < 8; i++) { /* wherever the bytes lie */
    memcpy(moved + i, text, strlen(text));
    CHECK(edr_hash(moved + i, strlen(text), 0) == 0xFBCEA83C8A378BF1u);
  }
  for (size_t i = 0; i < strlen(text); i++) { /* every byte counts */
    memcpy(moved, text, strlen(text));
    moved[i] ^= 1;
    CHECK(edr_hash(moved, strlen(text), 0) != 0xFBCEA83C8A378BF1u);
  }
  return check_done();
}
