#include "buf.h"

#include <stdlib.h>
#include <string.h>

void edr_buf_init(edr_buf *buf) {
  memset(buf, 0, sizeof *buf);
}

void edr_buf_deinit(edr_buf *buf) {
  free(buf->data);
  edr_buf_init(buf);
}

void edr_buf_clear(edr_buf *buf) {
  buf->size = 0;
  buf->failed = false;
}

edr_status edr_buf_reserve(edr_buf *buf, size_t extra) {
  size_t needed, capacity;
  uint8_t *data;

  if (extra > SIZE_MAX - buf->size) {
    buf->failed = true;
    return EDR_ENOMEM;
  }
  needed = buf->size + extra;
  if (needed <= buf->capacity) return EDR_OK;
  capacity = buf->capacity < 64 ? 64 : buf->capacity;
  while (capacity < needed) capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
  data = realloc(buf->data, capacity);
  if (data == NULL) {
    buf->failed = true;
    return EDR_ENOMEM;
  }
  buf->data = data;
  buf->capacity = capacity;
  return EDR_OK;
}

void edr_buf_append(edr_buf *buf, const void *bytes, size_t size) {
  if (buf->failed || size == 0 || edr_buf_reserve(buf, size) != EDR_OK) return;
  memcpy(buf->data + buf->size, bytes, size);
  buf->size += size;
}

void edr_buf_put_u8(edr_buf *buf, uint8_t value) {
  edr_buf_append(buf, &value, 1);
}

void edr_buf_put_u16(edr_buf *buf, uint16_t value) {
  const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
  edr_buf_append(buf, bytes, sizeof bytes);
}

void edr_buf_put_u32(edr_buf *buf, uint32_t value) {
  const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
  edr_buf_append(buf, bytes, sizeof bytes);
}

void edr_buf_put_u64(edr_buf *buf, uint64_t value) {
  edr_buf_put_u32(buf, (uint32_t)(value >> 32));
  edr_buf_put_u32(buf, (uint32_t)value);
}

void edr_buf_patch_u32(edr_buf *buf, size_t offset, uint32_t value) {
  if (buf->failed || buf->size < 4 || offset > buf->size - 4) return;
  buf->data[offset] = (uint8_t)(value >> 24);
  buf->data[offset + 1] = (uint8_t)(value >> 16);
  buf->data[offset + 2] = (uint8_t)(value >> 8);
  buf->data[offset + 3] = (uint8_t)value;
}

void edr_buf_consume(edr_buf *buf, size_t size) {
  if (size >= buf->size) {
    buf->size = 0;
    return;
  }
  if (size == 0) return;
  memmove(buf->data, buf->data + size, buf->size - size);
  buf->size -= size;
}

edr_status edr_buf_status(const edr_buf *buf) {
  return buf->failed ? EDR_ENOMEM : EDR_OK;
}
