/* Fuzzes the guard of the handshake with a run of packets, each with its two-byte length. Whatever passes must keep the
 * promises that ei's fixed buffers rest on. */
#include <stdlib.h>
#include <string.h>

#include "cookie.h"
#include "handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(int holds) {
  if (!holds) abort();
}

static void check_given_name(const uint8_t *packet, size_t size) {
  size_t length = (size_t)packet[7] << 8 | packet[8];
  const uint8_t *at = memchr(packet + 9, '@', length);
  promise(size <= 100 && 9 + length + 4 <= size); /* ei's stack buffer; name and creation are inside */
  promise(at != NULL && at - (packet + 9) < 254);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  edr_handshake handshake;
  edr_error error;
  uint8_t digest[EDR_MD5_SIZE];
  int dynamic = size > 0 && (data[0] & 1) != 0;
  edr_handshake_init(&handshake, "n1@h", dynamic ? NULL : "a@h", "a_cookie");
  while (size > 3) {
    size_t length = (size_t)data[1] << 8 | data[2];
    size_t there = length < size - 3 ? length : size - 3;
    edr_handshake_stage stage = handshake.stage;
    uint8_t *packet = malloc(there + 1); /* a block of its own: the sanitizer sees each byte too many */
    if (packet == NULL) return 0;
    memcpy(packet, data + 3, there);
    if (edr_handshake_receive(&handshake, packet, there, &error) == EDR_OK) {
      promise(handshake.stage == stage + 1);
      if (stage == EDR_HANDSHAKE_STATUS && dynamic) check_given_name(packet, there);
      if (stage == EDR_HANDSHAKE_CHALLENGE) promise(there >= 19 && memcmp(packet + 19, "n1@h", 4) == 0);
      if (stage == EDR_HANDSHAKE_ACK) {
        edr_cookie_digest(EDR_HANDSHAKE_STAND_IN, handshake.our_challenge, digest);
        promise(there == 17 && memcmp(packet + 1, digest, sizeof digest) == 0);
      }
    } else {
      promise(handshake.stage == stage && memchr(error.text, 0, sizeof error.text) != NULL);
    }
    edr_handshake_send(&handshake, packet, there);
    free(packet);
    data += 2 + there;
    size -= 2 + there;
  }
  return 0;
}
