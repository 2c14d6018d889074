/* Frames taken apart and put together; the contract is in control.h. */
#include "control.h"

#include <string.h>

edr_status edr_control_decode(const uint8_t *frame, size_t size, const edr_etf_limits *limits, edr_control *out_control,
                              const char **problem) {
  edr_etf_reader reader;
  edr_control control;
  edr_status status;
  size_t arity, i;
  const char *why = "it does not start with a pass-through byte";

  memset(&control, 0, sizeof control);
  if (size < 1 || frame[0] != 'p') {
    if (problem != NULL) *problem = why;
    return EDR_EPROTOCOL;
  }
  edr_etf_reader_init(&reader, frame + 1, size - 1, limits);
  why = "its control term is not a tuple that starts with an operation";
  if ((status = edr_etf_read_version(&reader)) != EDR_OK) goto done;
  if ((status = edr_etf_read_tuple(&reader, &arity)) != EDR_OK) goto done;
  if (arity < 1 || arity - 1 > EDR_CONTROL_MAX_ELEMENTS) {
    status = EDR_EPROTOCOL;
    goto done;
  }
  if ((status = edr_etf_read_int(&reader, &control.op)) != EDR_OK) goto done;
  control.count = arity - 1;
  why = "one of its terms is not well-formed";
  for (i = 0; i < control.count; i++) {
    control.elements[i].data = reader.data + reader.offset;
    control.elements[i].size = size - 1 - reader.offset;
    status = edr_etf_skip(&reader);
    if (status == EDR_ELIMIT && i + 1 == control.count) {
      control.too_large = true;
      status = EDR_OK;
      goto done;
    }
    if (status != EDR_OK) goto done;
    control.elements[i].size = (size_t)(reader.data + reader.offset - control.elements[i].data);
  }
  if ((status = edr_etf_read_end(&reader)) != EDR_OK) goto done;
  if (!edr_etf_reader_at_end(&reader)) {
    if ((status = edr_etf_read_version(&reader)) != EDR_OK) goto done;
    control.payload.data = reader.data + reader.offset;
    control.payload.size = size - 1 - reader.offset;
    status = edr_etf_skip(&reader);
    if (status == EDR_ELIMIT) {
      control.too_large = true;
      status = EDR_OK;
      goto done;
    }
    if (status != EDR_OK) goto done;
    control.payload.size = (size_t)(reader.data + reader.offset - control.payload.data);
    why = "bytes follow its payload";
    if (!edr_etf_reader_at_end(&reader)) status = EDR_EPROTOCOL;
  }
done:
  edr_etf_reader_deinit(&reader);
  if (status == EDR_OK) {
    *out_control = control;
  } else if (problem != NULL) {
    *problem = why;
  }
  return status;
}

size_t edr_control_begin(edr_buf *buf, edr_control_op op, size_t elements) {
  const size_t begin = buf->size;
  edr_buf_put_u32(buf, 0);
  edr_buf_put_u8(buf, 'p');
  edr_etf_put_version(buf);
  edr_etf_put_tuple(buf, elements + 1);
  edr_etf_put_int(buf, op);
  return begin;
}

void edr_control_payload(edr_buf *buf, const void *term, size_t size) {
  edr_etf_put_version(buf);
  edr_buf_append(buf, term, size);
}

edr_status edr_control_end(edr_buf *buf, size_t begin) {
  const size_t length = buf->size - begin - 4;
  if (buf->failed) return EDR_ENOMEM;
  if (length > UINT32_MAX) return EDR_ELIMIT;
  edr_buf_patch_u32(buf, begin, (uint32_t)length);
  return EDR_OK;
}
