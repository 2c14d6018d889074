/* The growable buffer: what was appended is there, and a failure is remembered until it is cleared. */
#include <string.h>

#include "buf.h"
#include "check.h"

static void test_append(void) {
  static const uint8_t wanted[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'a', 'b'};
  edr_buf buf;

  edr_buf_init(&buf);
  CHECK(buf.size == 0 && edr_buf_status(&buf) == EDR_OK);
  edr_buf_put_u8(&buf, 1);
  edr_buf_put_u16(&buf, 0x0203);
  edr_buf_put_u32(&buf, 0x04050607);
  edr_buf_put_u64(&buf, 0x08090a0b0c0d0e0fu);
  edr_buf_append(&buf, "ab", 2);
  edr_buf_append(&buf, NULL, 0);
  CHECK(buf.size == sizeof wanted && memcmp(buf.data, wanted, sizeof wanted) == 0);
  edr_buf_deinit(&buf);
  edr_buf_deinit(&buf);
  CHECK(buf.data == NULL && buf.size == 0 && buf.capacity == 0);
}

static void test_grow(void) {
  edr_buf buf;
  size_t right = 0;

  edr_buf_init(&buf);
  for (uint32_t i = 0; i < 100000; i++) edr_buf_put_u32(&buf, i);
  CHECK(buf.size == 400000 && buf.capacity >= buf.size);
  for (uint32_t i = 0; i < 100000; i++) {
    const uint8_t *at = buf.data + (size_t)i * 4;
    if (((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]) == i) right++;
  }
  CHECK(right == 100000);
  edr_buf_deinit(&buf);
}

static void test_reserve(void) {
  edr_buf buf;
  const uint8_t *data;

  edr_buf_init(&buf);
  CHECK(edr_buf_reserve(&buf, 1000) == EDR_OK);
  CHECK(buf.size == 0 && buf.capacity >= 1000);
  data = buf.data;
  for (int i = 0; i < 1000; i++) edr_buf_put_u8(&buf, 7);
  CHECK(buf.data == data);
  edr_buf_clear(&buf);
  CHECK(buf.size == 0 && buf.capacity >= 1000 && buf.data == data);
  edr_buf_deinit(&buf);
}

static void test_patch(void) {
  edr_buf buf;

  edr_buf_init(&buf);
  edr_buf_append(&buf, "abcdefgh", 8);
  edr_buf_patch_u32(&buf, 4, 0x31323334);
  CHECK(memcmp(buf.data, "abcd1234", 8) == 0);
  edr_buf_patch_u32(&buf, 5, 0);
  edr_buf_patch_u32(&buf, SIZE_MAX, 0);
  edr_buf_patch_u32(&buf, SIZE_MAX - 3, 0);
  CHECK(buf.size == 8 && memcmp(buf.data, "abcd1234", 8) == 0);
  edr_buf_clear(&buf);
  edr_buf_append(&buf, "abc", 3);
  edr_buf_patch_u32(&buf, 0, 0);
  CHECK(memcmp(buf.data, "abc", 3) == 0);
  edr_buf_deinit(&buf);
}

static void test_consume(void) {
  edr_buf buf;

  edr_buf_init(&buf);
  edr_buf_consume(&buf, 1);
  CHECK(buf.size == 0);
  edr_buf_append(&buf, "abcdef", 6);
  edr_buf_consume(&buf, 0);
  CHECK(buf.size == 6);
  edr_buf_consume(&buf, 2);
  CHECK(buf.size == 4 && memcmp(buf.data, "cdef", 4) == 0);
  edr_buf_consume(&buf, 100);
  CHECK(buf.size == 0);
  edr_buf_deinit(&buf);
}

/* A size that overflows is a failure like any other: nothing is added from then on, until the buffer is cleared. */
static void test_failure(void) {
  edr_buf buf;

  edr_buf_init(&buf);
  edr_buf_append(&buf, "ab", 2);
  CHECK(edr_buf_reserve(&buf, SIZE_MAX) == EDR_ENOMEM);
  CHECK(edr_buf_status(&buf) == EDR_ENOMEM);
  edr_buf_append(&buf, "cd", 2);
  edr_buf_put_u64(&buf, 1);
  edr_buf_patch_u32(&buf, 0, 0);
  CHECK(buf.size == 2 && memcmp(buf.data, "ab", 2) == 0);
  edr_buf_clear(&buf);
  CHECK(edr_buf_status(&buf) == EDR_OK);
  edr_buf_append(&buf, "ef", 2);
  CHECK(buf.size == 2 && memcmp(buf.data, "ef", 2) == 0);
  edr_buf_deinit(&buf);
}

int main(void) {
  test_append();
  test_grow();
  test_reserve();
  test_patch();
  test_consume();
  test_failure();
  return check_done();
}
