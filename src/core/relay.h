/* Many processes at once. In slices, processes on the node itself send a `sys` request to each, take the answers, and
 * say who failed: no process a target, no code loaded, one deadline for all, and nothing on the wire but the pids.
 * Whoever asks is linked to us: it dies when the call ends, and when we do. Measured in docs/performance.md. */
#ifndef EDR_RELAY_H
#define EDR_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "control.h"
#include "node.h"
#include "pids.h"
#include "slice.h"
#include "status.h"

/* What became of the request to one process. */
typedef enum edr_answer {
  EDR_ANSWER_OK = 0,
  EDR_ANSWER_TIMEOUT, /* alive, or not known to be dead, and silent until the deadline: it may still do it later */
  EDR_ANSWER_NOPROC,  /* dead */
  EDR_ANSWER_ERROR    /* it answered something else than ok */
} edr_answer;

/* What a process answered that is not ok: `size` bytes from `from` of the result's `terms`, one whole term. */
typedef struct edr_relay_reason {
  size_t index, from, size;
} edr_relay_reason;

typedef struct edr_relay_result {
  uint8_t *answers; /* an edr_answer for each pid, in the order asked; `count` of them */
  size_t count;
  size_t failed;             /* how many are not EDR_ANSWER_OK */
  edr_relay_reason *reasons; /* of EDR_ANSWER_ERROR, in no order; only those that fit in EDR_RELAY_MAX_REASONS bytes */
  size_t reason_count;
  edr_buf terms;
  bool sent; /* whether any request may have reached the node, also where the call as a whole failed */
} edr_relay_result;

/* A reason can be a whole state, and everybody may have one. */
#define EDR_RELAY_MAX_REASONS ((size_t)4 << 20)

/* The `sys` request that the term `request` is (`suspend`, `{change_code, Module, OldVsn, Extra}`) of all `pids`, which
 * must be of this node. All are asked, also when the deadline is short; it bounds the wait for answers. All of it ends
 * 30 s and a tenth of a millisecond a pid later,
 * or, where it fails, after 5 s more: no request is handed out any more then. On failure (EDR_ENODEDOWN,
 * EDR_EINTERRUPTED, ...) `out_result` still says whether something was sent. The caller frees it in any case. */
edr_status edr_relay_ask(edr_node *node, const edr_pids *pids, edr_slice request, int64_t deadline_ms,
                         edr_relay_result *out_result);
/* The same of a request that is an atom. */
edr_status edr_relay_sys(edr_node *node, const edr_pids *pids, const char *request, int64_t deadline_ms,
                         edr_relay_result *out_result);
void edr_relay_result_deinit(edr_relay_result *result);

#endif
