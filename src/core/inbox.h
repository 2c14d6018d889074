/* Messages that arrived and were not read yet: a queue of terms, bounded in bytes. What no longer fits is dropped and
 * counted: a node that floods us costs it its messages, not us our memory. Knows no socket. */
#ifndef EDR_INBOX_H
#define EDR_INBOX_H

#include <stddef.h>

#include "buf.h"
#include "etf.h"
#include "slice.h"
#include "status.h"

#define EDR_INBOX_DEFAULT_MAX ((size_t)64 << 20)

typedef struct edr_inbox {
  edr_buf bytes; /* each message: its size in eight bytes, then its term */
  size_t start;  /* where the oldest one begins */
  size_t max, count, dropped;
} edr_inbox;

/* `max` of 0 is EDR_INBOX_DEFAULT_MAX. */
void edr_inbox_init(edr_inbox *inbox, size_t max);
void edr_inbox_deinit(edr_inbox *inbox);

/* Queues a term, or counts it as dropped. EDR_ENOMEM. */
edr_status edr_inbox_put(edr_inbox *inbox, edr_slice term);

/* Queues `{'DOWN', Ref, process, Pid, Reason}`. */
edr_status edr_inbox_put_down(edr_inbox *inbox, const edr_ref *ref, const edr_pid *pid, edr_slice reason);

/* Takes the oldest message out and appends it to `message`; EDR_EAGAIN where there is none. */
edr_status edr_inbox_take(edr_inbox *inbox, edr_buf *message);

#endif
