/* Membership in pid sets, checked against looking at every pair. */
#include "pid_index.h"

#include <string.h>

#include "check.h"

static uint32_t state = 12345;
static uint32_t next_random(void) {
  return state = state * 1664525u + 1013904223u;
}

static void fill(edr_pids *pids, size_t count, uint32_t ids, int nodes) {
  size_t i;
  for (i = 0; i < count; i++) {
    edr_pid pid = {.id = (next_random() >> 8) % ids, .serial = (next_random() >> 8) % 2};
    pid.creation = 1 + (next_random() >> 8) % 2;
    snprintf(pid.node, sizeof pid.node, "n%d@h", (int)(next_random() >> 8) % nodes);
    CHECK(edr_pids_add(pids, &pid) == EDR_OK);
  }
}

static bool among(const edr_pids *pids, const edr_pids *other, size_t at) {
  size_t i;
  for (i = 0; i < pids->count; i++) {
    if (edr_pids_compare(pids, i, other, at) == 0) return true;
  }
  return false;
}

/* The two sets know their nodes in different orders, and hold the same pids several times. */
static void test_against_pairs(size_t size_a, size_t size_b) {
  edr_pids a, b, in, out;
  edr_pid_index index;
  size_t i, position = 0, wanted = 0;
  edr_pids_init(&a);
  edr_pids_init(&b);
  edr_pids_init(&in);
  edr_pids_init(&out);
  fill(&a, size_a, 40, 3);
  fill(&b, size_b, 40, 3);
  CHECK(edr_pid_index_init(&index, &b) == EDR_OK);
  for (i = 0; i < a.count; i++) {
    const bool has = edr_pid_index_has(&index, &a, i, &position);
    CHECK(has == among(&b, &a, i));
    if (has) CHECK(edr_pids_compare(&b, position, &a, i) == 0);
    wanted += has;
  }
  edr_pid_index_deinit(&index);
  CHECK(edr_pids_select(&a, &b, true, &in) == EDR_OK && in.count == wanted);
  CHECK(edr_pids_select(&a, &b, false, &out) == EDR_OK && out.count == a.count - wanted);
  for (i = 0; i < in.count; i++) CHECK(among(&b, &in, i));
  for (i = 0; i < out.count; i++) CHECK(!among(&b, &out, i));
  edr_pids_deinit(&a);
  edr_pids_deinit(&b);
  edr_pids_deinit(&in);
  edr_pids_deinit(&out);
}

/* Sorted input is taken as it is; reversed and equal input is sorted. In order, too: what is selected keeps its place.
 */
static void test_orders(void) {
  edr_pids sorted, reversed, out;
  edr_pid pid = {.creation = 1, .node = "a@b"};
  edr_pid_index index;
  uint32_t i;
  edr_pids_init(&sorted);
  edr_pids_init(&reversed);
  edr_pids_init(&out);
  for (i = 0; i < 1000; i++) {
    pid.id = i * 2;
    CHECK(edr_pids_add(&sorted, &pid) == EDR_OK);
    pid.id = (999 - i) * 2;
    CHECK(edr_pids_add(&reversed, &pid) == EDR_OK);
  }
  CHECK(edr_pid_index_init(&index, &reversed) == EDR_OK);
  for (i = 0; i < 1000; i++) CHECK(edr_pid_index_has(&index, &sorted, i, NULL));
  edr_pid_index_deinit(&index);
  CHECK(edr_pids_select(&reversed, &sorted, true, &out) == EDR_OK && out.count == 1000);
  for (i = 0; i < 1000; i++) CHECK(out.entries[i].id == (999 - i) * 2);
  edr_pids_deinit(&sorted);
  edr_pids_deinit(&reversed);
  edr_pids_deinit(&out);
}

int main(void) {
  size_t i;
  for (i = 0; i < 20; i++) test_against_pairs(i * 7, 300 - i * 15);
  test_against_pairs(0, 0);
  test_orders();
  return check_done();
}
