/* Control messages: vectors from the protocol's text, the same cut at every length, and what no node would send. */
#include "control.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static edr_pid pid_of(uint32_t id) {
  edr_pid pid = {.id = id, .serial = 7, .creation = 0x01020304};
  strcpy(pid.node, "a@b");
  return pid;
}

static edr_ref ref_of(uint32_t word) {
  edr_ref ref = {.creation = 0x01020304, .word_count = 3, .words = {word, 2, 3}};
  strcpy(ref.node, "a@b");
  return ref;
}

/* {2, '', <0.5.7>} and the message {hello, 1}: written byte by byte from "External Term Format". */
static void test_vector(void) {
  static const uint8_t expected[] = {0, 0,   0,   38,  'p', 131, 104, 3,   97,  2,   119, 0,   88, 119,
                                     3, 'a', '@', 'b', 0,   0,   0,   5,   0,   0,   0,   7,   1,  2,
                                     3, 4,   131, 104, 2,   119, 5,   'h', 'e', 'l', 'l', 'o', 97, 1};
  static const uint8_t message[] = {104, 2, 119, 5, 'h', 'e', 'l', 'l', 'o', 97, 1};
  const edr_pid pid = pid_of(5);
  edr_control control;
  edr_pid read;
  edr_buf buf;
  size_t begin;

  edr_buf_init(&buf);
  edr_buf_put_u8(&buf, 9); /* a frame need not begin where the buffer does */
  begin = edr_control_begin(&buf, EDR_CONTROL_SEND, 2);
  edr_etf_put_atom(&buf, "", 0);
  edr_etf_put_pid(&buf, &pid);
  edr_control_payload(&buf, message, sizeof message);
  CHECK(edr_control_end(&buf, begin) == EDR_OK);
  CHECK(buf.size == 1 + sizeof expected && memcmp(buf.data + 1, expected, sizeof expected) == 0);

  CHECK(edr_control_decode(buf.data + 5, buf.size - 5, NULL, &control, NULL) == EDR_OK);
  CHECK(control.op == EDR_CONTROL_SEND && control.count == 2 && !control.too_large);
  CHECK(edr_slice_pid(control.elements[1], &read) == EDR_OK && edr_pid_equal(&read, &pid));
  CHECK(control.payload.size == sizeof message && memcmp(control.payload.data, message, sizeof message) == 0);
  edr_buf_deinit(&buf);
}

/* A frame of an exit that was monitored, with `depth` tuples around its reason. */
static void put_exit(edr_buf *buf, size_t depth) {
  const edr_pid pid = pid_of(1);
  const edr_ref ref = ref_of(9);
  const size_t begin = edr_control_begin(buf, EDR_CONTROL_MONITOR_P_EXIT, 4);
  size_t i;
  edr_etf_put_pid(buf, &pid);
  edr_etf_put_pid(buf, &pid);
  edr_etf_put_ref(buf, &ref);
  for (i = 0; i < depth; i++) edr_etf_put_tuple(buf, 1);
  edr_etf_put_atom(buf, "normal", 6);
  CHECK(edr_control_end(buf, begin) == EDR_OK);
}

/* Each prefix is refused, reads nothing behind its end (it has a block of its own), and leaves the result alone. */
static void test_cut(void) {
  edr_control control = {.op = 77};
  const char *problem = NULL;
  edr_buf buf;
  size_t size;
  edr_buf_init(&buf);
  put_exit(&buf, 3);
  for (size = 0; size < buf.size - 4; size++) {
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, buf.data + 4, size);
    copy = realloc(copy, size > 0 ? size : 1);
    problem = NULL;
    CHECK(edr_control_decode(copy, size, NULL, &control, &problem) == EDR_EPROTOCOL);
    CHECK(problem != NULL && control.op == 77);
    free(copy);
  }
  CHECK(edr_control_decode(buf.data + 4, buf.size - 4, NULL, &control, NULL) == EDR_OK);
  CHECK(control.op == 21 && control.count == 4 && control.payload.data == NULL);
  edr_buf_put_u8(&buf, 97); /* something after the control term that is no external term */
  CHECK(edr_control_decode(buf.data + 4, buf.size - 4, NULL, &control, &problem) == EDR_EPROTOCOL);
  edr_buf_deinit(&buf);
}

/* A reason that is nested too deeply is left unread; whoever it is for can still be told. Anywhere else it is an error.
 */
static void test_too_large(void) {
  edr_control control;
  edr_ref read, ref = ref_of(9);
  edr_buf buf;
  size_t begin, i;

  edr_buf_init(&buf);
  put_exit(&buf, 2000);
  CHECK(edr_control_decode(buf.data + 4, buf.size - 4, NULL, &control, NULL) == EDR_OK);
  CHECK(control.too_large && control.count == 4);
  CHECK(edr_slice_ref(control.elements[2], &read) == EDR_OK && edr_ref_equal(&read, &ref));
  CHECK(control.elements[3].data + control.elements[3].size == buf.data + buf.size);

  edr_buf_clear(&buf);
  begin = edr_control_begin(&buf, EDR_CONTROL_MONITOR_P_EXIT, 2);
  for (i = 0; i < 2000; i++) edr_etf_put_tuple(&buf, 1);
  edr_etf_put_nil(&buf);
  edr_etf_put_nil(&buf);
  CHECK(edr_control_end(&buf, begin) == EDR_OK);
  CHECK(edr_control_decode(buf.data + 4, buf.size - 4, NULL, &control, NULL) == EDR_ELIMIT);
  edr_buf_deinit(&buf);
}

static void refuse(const void *bytes, size_t size) {
  edr_control control;
  CHECK(edr_control_decode(bytes, size, NULL, &control, NULL) == EDR_EPROTOCOL);
}

static void test_hostile(void) {
  refuse("q\x83h\x01\x61\x02", 6);                   /* no pass-through byte */
  refuse("p\x83\x61\x02", 4);                        /* no tuple */
  refuse("p\x83h\0", 4);                             /* an empty one */
  refuse("p\x83h\x01w\x02ok", 8);                    /* an operation that is no number */
  refuse("p\x83h\x0a\x61\x02jjjjjjjjj", 15);         /* more elements than any operation has */
  refuse("p\x83i\xff\xff\xff\xff\x61\x02", 9);       /* a tuple of four billion */
  refuse("p\x83h\x02\x61\x02m\xff\xff\xff\xff", 11); /* a binary of four billion bytes */
  refuse("p\x83h\x01\x61\x02\x83", 7);               /* a payload without a term */
  refuse("p\x83h\x01\x61\x02\x83jj", 9);             /* two of them */
  refuse("p\x83h\x02\x61\x02R\0", 8);                /* an atom cache reference, which nobody announced */
}

static void test_slices(void) {
  const edr_slice none = {NULL, 0}, atom = {(const uint8_t *)"w\x02ok", 4}, number = {(const uint8_t *)"a\x05", 2};
  edr_pid a = pid_of(1), b = pid_of(1);
  edr_ref r = ref_of(1), s = ref_of(1);
  int64_t value = 0;
  CHECK(edr_slice_pid(none, &a) == EDR_EPROTOCOL && edr_slice_ref(none, &r) == EDR_EPROTOCOL);
  CHECK(edr_slice_int(none, &value) == EDR_EPROTOCOL && edr_slice_int(atom, &value) == EDR_EPROTOCOL);
  CHECK(edr_slice_pid(atom, &a) == EDR_EPROTOCOL && edr_slice_ref(atom, &r) == EDR_EPROTOCOL);
  CHECK(edr_slice_int(number, &value) == EDR_OK && value == 5);
  CHECK(edr_pid_equal(&a, &b) && edr_ref_equal(&r, &s));
  b.serial++;
  s.word_count = 2;
  CHECK(!edr_pid_equal(&a, &b) && !edr_ref_equal(&r, &s));
  b = a;
  b.node[0] = 'x';
  CHECK(!edr_pid_equal(&a, &b));
}

int main(void) {
  test_vector();
  test_cut();
  test_too_large();
  test_hostile();
  test_slices();
  return check_done();
}
