/* Fuzzes the reader of epmd's answer: it must stay inside the bytes it was given, and a prefix must never say more than
 * "more bytes are needed" and then something else than the whole. */
#include <stdlib.h>

#include "epmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint16_t whole_port = 0, port;
  edr_status whole = edr_epmd_read_port_resp(data, size, &whole_port);
  for (size_t cut = 0; cut < size && cut < 64; cut++) {
    uint8_t *part = malloc(cut + 1); /* a block of its own: the sanitizer sees each byte too many */
    edr_status status;
    if (part == NULL) return 0;
    for (size_t i = 0; i < cut; i++) part[i] = data[i];
    port = 0;
    status = edr_epmd_read_port_resp(part, cut, &port);
    free(part);
    if (status != EDR_EAGAIN && (status != whole || port != whole_port)) abort();
  }
  return 0;
}
