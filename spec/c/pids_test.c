/* The pid set: what goes in comes out, in order, and a list that is none of pids leaves no trace. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "pids.h"

static edr_pid pid_of(const char *node, uint32_t id, uint32_t serial, uint32_t creation) {
  edr_pid pid = {.id = id, .serial = serial, .creation = creation, .node = ""};
  strcpy(pid.node, node);
  return pid;
}

static bool same(const edr_pid *a, const edr_pid *b) {
  return a->id == b->id && a->serial == b->serial && a->creation == b->creation && strcmp(a->node, b->node) == 0;
}

static void put_list(edr_buf *buf, uint32_t count, const char *node) {
  edr_etf_put_list(buf, count);
  for (uint32_t i = 0; i < count; i++) {
    edr_pid pid = pid_of(node, i, i / 7, 3);
    edr_etf_put_pid(buf, &pid);
  }
}

static void test_add(void) {
  const edr_pid wanted[] = {pid_of("a@b", 1, 2, 3), pid_of("c@d", 4, 5, 6), pid_of("a@b", UINT32_MAX, 0, UINT32_MAX)};
  edr_pids pids, others;
  edr_pid got;

  edr_pids_init(&pids);
  edr_pids_init(&others);
  for (size_t i = 0; i < 3; i++) CHECK(edr_pids_add(&pids, &wanted[i]) == EDR_OK);
  CHECK(pids.count == 3 && pids.node_count == 2);
  for (size_t i = 0; i < 3; i++) {
    edr_pids_get(&pids, i, &got);
    CHECK(same(&got, &wanted[i]));
  }
  CHECK(edr_pids_add_from(&others, &pids, 2) == EDR_OK);
  CHECK(edr_pids_add_from(&pids, &pids, 1) == EDR_OK);
  CHECK(others.count == 1 && others.node_count == 1 && pids.count == 4);
  CHECK(edr_pids_compare(&pids, 2, &others, 0) == 0);
  CHECK(edr_pids_compare(&pids, 1, &pids, 3) == 0);
  edr_pids_deinit(&pids);
  edr_pids_deinit(&pids);
  edr_pids_deinit(&others);
}

static void test_order(void) {
  const edr_pid ascending[] = {pid_of("a", 9, 9, 1), pid_of("a", 9, 1, 2), pid_of("a", 1, 2, 2),
                               pid_of("a", 2, 2, 2), pid_of("b", 0, 0, 0), pid_of("b", UINT32_MAX, 0, 0)};
  edr_pids pids, same_backwards;

  edr_pids_init(&pids);
  edr_pids_init(&same_backwards);
  for (size_t i = 0; i < 6; i++) {
    CHECK(edr_pids_add(&pids, &ascending[i]) == EDR_OK);
    CHECK(edr_pids_add(&same_backwards, &ascending[5 - i]) == EDR_OK);
  }
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 6; j++) {
      int within = edr_pids_compare(&pids, i, &pids, j);
      int across = edr_pids_compare(&pids, i, &same_backwards, 5 - j);
      CHECK(i < j ? within < 0 : i > j ? within > 0 : within == 0);
      CHECK(i < j ? across < 0 : i > j ? across > 0 : across == 0);
    }
  edr_pids_deinit(&pids);
  edr_pids_deinit(&same_backwards);
}

static void test_read_list(void) {
  edr_pids pids;
  edr_etf_reader reader;
  edr_buf buf, again;

  edr_buf_init(&buf);
  edr_buf_init(&again);
  put_list(&buf, 100000, "web@host");
  edr_etf_put_nil(&buf);
  edr_pids_init(&pids);
  edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
  CHECK(edr_pids_read_list(&pids, &reader) == EDR_OK);
  CHECK(edr_etf_reader_at_end(&reader));
  CHECK(pids.count == 100000 && pids.capacity == 100000 && pids.node_count == 1);
  edr_etf_put_list(&again, pids.count);
  for (size_t i = 0; i < pids.count; i++) edr_pids_put(&again, &pids, i);
  edr_etf_put_nil(&again);
  CHECK(again.size == buf.size && memcmp(again.data, buf.data, buf.size) == 0);

  edr_buf_clear(&buf);
  edr_etf_put_nil(&buf);
  edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
  CHECK(edr_pids_read_list(&pids, &reader) == EDR_OK && edr_etf_reader_at_end(&reader));
  CHECK(pids.count == 100000);
  edr_pids_deinit(&pids);
  edr_buf_deinit(&buf);
  edr_buf_deinit(&again);
}

/* Reads what `buf` holds into a set of one pid: refused, and both set and reader are as they were. */
static void check_refused(edr_buf *buf, edr_status wanted) {
  edr_pid first = pid_of("first@host", 1, 2, 3);
  edr_pids pids;
  edr_etf_reader reader;
  uint8_t *bytes = malloc(buf->size);

  if (bytes == NULL) exit(2);
  memcpy(bytes, buf->data, buf->size);
  edr_pids_init(&pids);
  CHECK(edr_pids_add(&pids, &first) == EDR_OK);
  edr_etf_reader_init(&reader, bytes, buf->size, NULL);
  CHECK(edr_pids_read_list(&pids, &reader) == wanted);
  CHECK(pids.count == 1 && pids.node_count == 1 && pids.capacity < 100000);
  CHECK(reader.offset == 0 && reader.depth == 0);
  edr_pids_deinit(&pids);
  edr_buf_clear(buf);
  free(bytes);
}

static void test_refused(void) {
  edr_buf buf;
  edr_pid pid;

  edr_buf_init(&buf);
  put_list(&buf, 3, "web@host"); /* cut: no tail */
  check_refused(&buf, EDR_EPROTOCOL);
  put_list(&buf, 3, "web@host");
  edr_etf_put_int(&buf, 7); /* improper */
  check_refused(&buf, EDR_EPROTOCOL);
  put_list(&buf, 3, "web@host");
  buf.data[4] = 4; /* a fourth element, which is no pid */
  edr_etf_put_atom(&buf, "a_long_enough_atom", 18);
  edr_etf_put_nil(&buf);
  check_refused(&buf, EDR_EPROTOCOL);
  edr_etf_put_list(&buf, 1000000); /* integers: fewer bytes than so many pids would take */
  for (int i = 0; i < 1000000; i++) edr_etf_put_int(&buf, 1);
  edr_etf_put_nil(&buf);
  check_refused(&buf, EDR_EPROTOCOL);
  edr_etf_put_atom(&buf, "ok", 2);
  check_refused(&buf, EDR_EPROTOCOL);
  edr_etf_put_string(&buf, (const uint8_t *)"abc", 3);
  check_refused(&buf, EDR_EPROTOCOL);
  edr_etf_put_list(&buf, EDR_PIDS_MAX_NODES + 1);
  for (uint32_t i = 0; i <= EDR_PIDS_MAX_NODES; i++) {
    pid = pid_of("", 1, 1, 1);
    snprintf(pid.node, sizeof pid.node, "n%u@host", (unsigned)i);
    edr_etf_put_pid(&buf, &pid);
  }
  edr_etf_put_nil(&buf);
  check_refused(&buf, EDR_ELIMIT);
  edr_buf_deinit(&buf);
}

/* Seconds that it takes to add pids of these two nodes by turns to a set of as many nodes as it takes; the best of
 * three. */
static double seconds_to_add(const char *one, const char *other) {
  double best = 1e9;
  for (int round = 0; round < 3; round++) {
    edr_pids pids;
    clock_t begin;
    edr_pids_init(&pids);
    for (unsigned i = 0; i < EDR_PIDS_MAX_NODES; i++) {
      edr_pid pid = pid_of("", i, 1, 1);
      snprintf(pid.node, sizeof pid.node, "n%u@host", i);
      CHECK(edr_pids_add(&pids, &pid) == EDR_OK);
    }
    begin = clock();
    for (uint32_t i = 0; i < 200000; i++) {
      const edr_pid pid = pid_of(i % 2 == 0 ? one : other, i, 1, 1);
      if (edr_pids_add(&pids, &pid) != EDR_OK) CHECK(false);
    }
    if ((double)(clock() - begin) / CLOCKS_PER_SEC < best) best = (double)(clock() - begin) / CLOCKS_PER_SEC;
    edr_pids_deinit(&pids);
  }
  return best;
}

/* A peer that names a thousand nodes and then the last two by turns had each pid compared with all of them: fifty times
 * the work. */
static void test_many_nodes(void) {
  char last[32], last_but_one[32];
  double cheap, dear;
  snprintf(last, sizeof last, "n%d@host", EDR_PIDS_MAX_NODES - 1);
  snprintf(last_but_one, sizeof last_but_one, "n%d@host", EDR_PIDS_MAX_NODES - 2);
  cheap = seconds_to_add(last, last);
  dear = seconds_to_add(last, last_but_one);
  CHECK(dear < 20 * cheap);
}

static void test_reserve(void) {
  edr_pid pid = pid_of("a@b", 1, 2, 3);
  edr_pids pids;

  edr_pids_init(&pids);
  CHECK(edr_pids_reserve(&pids, 10) == EDR_OK && pids.capacity == 10);
  CHECK(edr_pids_add(&pids, &pid) == EDR_OK);
  CHECK(edr_pids_reserve(&pids, 9) == EDR_OK && pids.capacity == 10);
  CHECK(edr_pids_reserve(&pids, 10) == EDR_OK && pids.capacity == 11);
  CHECK(edr_pids_reserve(&pids, SIZE_MAX) == EDR_ENOMEM);
  CHECK(edr_pids_reserve(&pids, SIZE_MAX / 8) == EDR_ENOMEM);
  CHECK(pids.count == 1 && pids.capacity == 11);
  edr_pids_deinit(&pids);
}

int main(void) {
  test_add();
  test_order();
  test_read_list();
  test_refused();
  test_many_nodes();
  test_reserve();
  return check_done();
}
