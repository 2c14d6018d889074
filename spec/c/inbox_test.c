/* The inbox: order, bounds, what is dropped, and that it gives its memory back. */
#include "inbox.h"

#include <string.h>

#include "check.h"

static edr_slice text(const char *bytes) {
  return (edr_slice){(const uint8_t *)bytes, strlen(bytes)};
}

static void test_order(void) {
  edr_inbox inbox;
  edr_buf out;
  int i, expected = 0;
  char message[16];

  edr_inbox_init(&inbox, 0);
  edr_buf_init(&out);
  CHECK(edr_inbox_take(&inbox, &out) == EDR_EAGAIN && out.size == 0);
  /* Two in, one out, a thousand times: the queue moves through its buffer and is moved back. */
  for (i = 0; i < 1000; i++) {
    snprintf(message, sizeof message, "m%d", i * 2);
    CHECK(edr_inbox_put(&inbox, text(message)) == EDR_OK);
    snprintf(message, sizeof message, "m%d", i * 2 + 1);
    CHECK(edr_inbox_put(&inbox, text(message)) == EDR_OK);
    edr_buf_clear(&out);
    snprintf(message, sizeof message, "m%d", expected++);
    CHECK(edr_inbox_take(&inbox, &out) == EDR_OK && out.size == strlen(message) &&
          memcmp(out.data, message, out.size) == 0);
  }
  while (edr_inbox_take(&inbox, &out) == EDR_OK) {
    snprintf(message, sizeof message, "m%d", expected++);
    CHECK(out.size >= strlen(message) && memcmp(out.data + out.size - strlen(message), message, strlen(message)) == 0);
  }
  CHECK(expected == 2000 && inbox.count == 0 && inbox.dropped == 0 && inbox.bytes.capacity == 0);
  edr_buf_deinit(&out);
  edr_inbox_deinit(&inbox);
}

static void test_bounds(void) {
  edr_inbox inbox;
  edr_buf out;
  size_t i;
  edr_inbox_init(&inbox, 100);
  edr_buf_init(&out);
  for (i = 0; i < 1000; i++) CHECK(edr_inbox_put(&inbox, text("0123456789")) == EDR_OK);
  CHECK(inbox.count > 0 && inbox.count <= 10 && inbox.dropped == 1000 - inbox.count && inbox.bytes.size <= 300);
  CHECK(edr_inbox_take(&inbox, &out) == EDR_OK && out.size == 10); /* the oldest are the ones that are kept */
  i = inbox.dropped;
  CHECK(edr_inbox_put(&inbox, text("x")) == EDR_OK && inbox.dropped == i); /* there is room again */
  CHECK(edr_inbox_put(&inbox, (edr_slice){out.data, 101}) == EDR_OK && inbox.dropped == i + 1); /* never reads it */
  edr_buf_deinit(&out);
  edr_inbox_deinit(&inbox);
}

static void test_down(void) {
  edr_inbox inbox;
  edr_buf out;
  edr_etf_reader reader;
  size_t arity = 0;
  edr_pid pid = {.id = 1, .node = "a@b"}, read;
  edr_ref ref = {.word_count = 1, .words = {5}, .node = "a@b"}, read_ref;
  edr_inbox_init(&inbox, 0);
  edr_buf_init(&out);
  CHECK(edr_inbox_put_down(&inbox, &ref, &pid, text("w\x06noproc")) == EDR_OK);
  CHECK(edr_inbox_take(&inbox, &out) == EDR_OK);
  edr_etf_reader_init(&reader, out.data, out.size, NULL);
  CHECK(edr_etf_read_tuple(&reader, &arity) == EDR_OK && arity == 5 &&
        edr_etf_read_this_atom(&reader, "DOWN") == EDR_OK);
  CHECK(edr_etf_read_ref(&reader, &read_ref) == EDR_OK && edr_ref_equal(&ref, &read_ref));
  CHECK(edr_etf_read_this_atom(&reader, "process") == EDR_OK);
  CHECK(edr_etf_read_pid(&reader, &read) == EDR_OK && edr_pid_equal(&pid, &read));
  CHECK(edr_etf_read_this_atom(&reader, "noproc") == EDR_OK && edr_etf_read_end(&reader) == EDR_OK);
  CHECK(edr_etf_reader_at_end(&reader));
  edr_etf_reader_deinit(&reader);
  edr_buf_deinit(&out);
  edr_inbox_deinit(&inbox);
}

int main(void) {
  test_order();
  test_bounds();
  test_down();
  return check_done();
}
