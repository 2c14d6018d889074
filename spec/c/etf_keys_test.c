/* Keys of maps: which maps have one twice, in whatever form the keys came. What OTP says of more of them is in
 * spec/otp_terms_spec.lua. */
#include "etf_keys.h"

#include "check.h"

#include <string.h>

/* EDR_OK where the term could be read, and each map in it has each key once. */
static edr_status check(const char *bytes, size_t size, bool in_runs) {
  edr_etf_reader reader;
  edr_etf_token token;
  edr_etf_keys keys;
  edr_status status;
  int64_t values[8];
  size_t count = 0;
  edr_etf_reader_init(&reader, (const uint8_t *)bytes, size, NULL);
  edr_etf_keys_init(&keys);
  do {
    status = edr_etf_next(&reader, &token);
    if (status == EDR_OK) status = edr_etf_keys_add(&keys, &token);
    if (status == EDR_OK && in_runs) count = edr_etf_next_ints(&reader, 8, values);
    if (status == EDR_OK && in_runs) status = edr_etf_keys_add_ints(&keys, values, count);
  } while (status == EDR_OK && edr_etf_keys_open(&keys));
  CHECK(status != EDR_OK || edr_etf_reader_at_end(&reader));
  edr_etf_keys_deinit(&keys);
  edr_etf_reader_deinit(&reader);
  return status;
}

#define MAP2 "t\0\0\0\2"
#define DISTINCT(bytes) expect(bytes, sizeof(bytes) - 1, EDR_OK)
#define TWICE(bytes) expect(bytes, sizeof(bytes) - 1, EDR_EPROTOCOL)

static void expect(const char *bytes, size_t size, edr_status expected) {
  CHECK(check(bytes, size, false) == expected);
  CHECK(check(bytes, size, true) == expected);
}

static void test_scalars(void) {
  DISTINCT("t\0\0\0\0");
  DISTINCT("t\0\0\0\1jj");
  DISTINCT(MAP2 "a\1ja\2j");
  TWICE(MAP2 "a\1ja\1j");
  TWICE(MAP2 "a\1jb\0\0\0\1j");
  TWICE(MAP2 "a\1jn\1\0\1j");
  DISTINCT(MAP2 "a\1jF\77\360\0\0\0\0\0\0j"); /* 1 and 1.0 */
  TWICE(MAP2 "w\1aa\1s\1aa\2");
  DISTINCT(MAP2 "w\1aa\1m\0\0\0\1aa\2"); /* a and <<"a">> */
  TWICE(MAP2 "m\0\0\0\20"
             "0123456789abcdefjm\0\0\0\20"
             "0123456789abcdefj");
  DISTINCT(MAP2 "m\0\0\0\20"
                "0123456789abcdefjm\0\0\0\20"
                "0123456789abcdegj");
  TWICE(MAP2 "M\0\0\0\1\4\360jM\0\0\0\1\4\377j"); /* four bits count */
}

static void test_lists(void) {
  TWICE(MAP2 "k\0\1\7jl\0\0\0\1a\7jj");
  TWICE(MAP2 "k\0\2\7\10jl\0\0\0\1a\7k\0\1\10j");              /* [7 | "\b"] */
  TWICE(MAP2 "l\0\0\0\2a\7w\1ajjl\0\0\0\1a\7l\0\0\0\1w\1ajj"); /* [7 | [a]] */
  DISTINCT(MAP2 "l\0\0\0\1a\7a\10jk\0\2\7\10j");               /* [7 | 8] and [7, 8] */
  DISTINCT(MAP2 "jjl\0\0\0\1jjj");                             /* [] and [[]] */
  DISTINCT(MAP2 "h\1a\7jk\0\1\7j");                            /* {7} and [7] */
  TWICE(MAP2 "h\1a\7ji\0\0\0\1b\0\0\0\7j");
  DISTINCT(MAP2 "h\2h\1a\7a\10jh\2a\7h\1a\10j"); /* {{7}, 8} and {7, {8}} */
}

static void test_maps(void) {
  TWICE(MAP2 MAP2 "a\1a\5a\2a\6j" MAP2 "a\2a\6a\1a\5j");    /* in another order */
  DISTINCT(MAP2 MAP2 "a\1a\5a\2a\6j" MAP2 "a\1a\6a\2a\5j"); /* with the values exchanged */
  TWICE("t\0\0\0\1a\1h\1" MAP2 "a\1ja\1j");                 /* a map in a value, */
  TWICE("t\0\0\0\1h\1" MAP2 "a\1ja\1jj");                   /* and in a key */
  DISTINCT(MAP2 "a\1" MAP2 "a\1ja\2ja\2" MAP2 "a\1ja\2j");  /* each its own */
}

static void test_many(void) {
  enum { MANY = 70000 };
  edr_buf buf;
  int again;
  for (again = 0; again < 2; again++) {
    int i;
    edr_buf_init(&buf);
    edr_etf_put_map(&buf, MANY);
    for (i = 0; i < MANY; i++) {
      edr_etf_put_int(&buf, again == 1 && i == MANY - 1 ? 12345 : i);
      edr_etf_put_nil(&buf);
    }
    CHECK(edr_buf_status(&buf) == EDR_OK);
    CHECK(check((const char *)buf.data, buf.size, false) == (again == 1 ? EDR_EPROTOCOL : EDR_OK));
    edr_buf_deinit(&buf);
  }
}

int main(void) {
  test_scalars();
  test_lists();
  test_maps();
  test_many();
  return check_done();
}
