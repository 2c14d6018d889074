#include "pid_index.h"

#include <stdlib.h>
#include <string.h>

/* Heap sort: in place, no recursion, no comparison context to smuggle through qsort. */
static void sift(const edr_pids *pids, uint32_t *order, size_t root, size_t count) {
  for (;;) {
    size_t child = root * 2 + 1;
    uint32_t held;
    if (child >= count) return;
    if (child + 1 < count && edr_pids_compare(pids, order[child], pids, order[child + 1]) < 0) child++;
    if (edr_pids_compare(pids, order[root], pids, order[child]) >= 0) return;
    held = order[root];
    order[root] = order[child];
    order[child] = held;
    root = child;
  }
}

static bool is_sorted(const edr_pids *pids) {
  size_t i;
  for (i = 1; i < pids->count; i++) {
    if (edr_pids_compare(pids, i - 1, pids, i) > 0) return false;
  }
  return true;
}

edr_status edr_pid_index_init(edr_pid_index *index, const edr_pids *pids) {
  size_t i;
  memset(index, 0, sizeof *index);
  index->pids = pids;
  if (pids->count > UINT32_MAX) return EDR_ELIMIT;
  index->order = malloc((pids->count + 1) * sizeof *index->order);
  if (index->order == NULL) return EDR_ENOMEM;
  for (i = 0; i < pids->count; i++) index->order[i] = (uint32_t)i;
  if (is_sorted(pids)) return EDR_OK; /* as erlang:processes() gives them */
  for (i = pids->count / 2; i > 0; i--) sift(pids, index->order, i - 1, pids->count);
  for (i = pids->count; i > 1; i--) {
    const uint32_t last = index->order[i - 1];
    index->order[i - 1] = index->order[0];
    index->order[0] = last;
    sift(pids, index->order, 0, i - 1);
  }
  return EDR_OK;
}

void edr_pid_index_deinit(edr_pid_index *index) {
  free(index->order);
  memset(index, 0, sizeof *index);
}

bool edr_pid_index_has(const edr_pid_index *index, const edr_pids *other, size_t at, size_t *out_position) {
  size_t low = 0, high = index->pids->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = edr_pids_compare(index->pids, index->order[middle], other, at);
    if (order == 0) {
      if (out_position != NULL) *out_position = index->order[middle];
      return true;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return false;
}

edr_status edr_pids_select(const edr_pids *a, const edr_pids *b, bool wanted, edr_pids *out) {
  edr_pid_index index;
  edr_status status = edr_pid_index_init(&index, b);
  size_t i;
  for (i = 0; i < a->count && status == EDR_OK; i++) {
    if (edr_pid_index_has(&index, a, i, NULL) == wanted) status = edr_pids_add_from(out, a, i);
  }
  edr_pid_index_deinit(&index);
  return status;
}
