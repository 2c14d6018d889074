/* Membership in a pid set: a sorted index over one, four bytes a pid. Knows no Lua, no socket. */
#ifndef EDR_PID_INDEX_H
#define EDR_PID_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pids.h"
#include "status.h"

typedef struct edr_pid_index {
  const edr_pids *pids; /* must not change while the index is in use */
  uint32_t *order;
} edr_pid_index;

/* EDR_ENOMEM, or EDR_ELIMIT for a set of 2^32 pids or more. */
edr_status edr_pid_index_init(edr_pid_index *index, const edr_pids *pids);
void edr_pid_index_deinit(edr_pid_index *index);

/* Whether entry `at` of `other` is among the indexed pids; if so, `out_position` (may be NULL) says where. */
bool edr_pid_index_has(const edr_pid_index *index, const edr_pids *other, size_t at, size_t *out_position);

/* Appends to `out` the pids of `a` that are (`wanted`) or are not in `b`, in the order of `a`. */
edr_status edr_pids_select(const edr_pids *a, const edr_pids *b, bool wanted, edr_pids *out);

#endif
