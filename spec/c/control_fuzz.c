/* Any bytes as a frame: taken apart or refused; what is given out lies inside of them. */
#include "control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(edr_slice slice, const uint8_t *data, size_t size) {
  if (slice.data != NULL && (slice.data < data || slice.size > size || (size_t)(slice.data - data) > size - slice.size))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  edr_control control;
  edr_pid pid;
  edr_ref ref;
  int64_t number;
  size_t i;
  if (edr_control_decode(data, size, NULL, &control, NULL) != EDR_OK) return 0;
  if (control.count > EDR_CONTROL_MAX_ELEMENTS) abort();
  for (i = 0; i < control.count; i++) {
    inside(control.elements[i], data, size);
    (void)edr_slice_pid(control.elements[i], &pid);
    (void)edr_slice_ref(control.elements[i], &ref);
    (void)edr_slice_int(control.elements[i], &number);
  }
  inside(control.payload, data, size);
  return 0;
}
