/* A connection to one node: calls (several in flight), casts, messages, links and monitors, and what the distribution
 * expects of us in return. Built on dial (opens it) and stream (frames); the relay builds on this.
 * One thread uses a node at a time. Once the connection broke it stays broken, and every call says so. */
#ifndef EDR_NODE_H
#define EDR_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "control.h"
#include "dial.h"
#include "etf.h"
#include "node_calls.h"
#include "node_monitors.h"
#include "node_output.h"
#include "status.h"

typedef struct edr_node edr_node;

typedef struct edr_node_options {
  edr_dial_options dial;
  size_t max_frame;   /* 0: EDR_FRAME_DEFAULT_MAX */
  int64_t tick_ms;    /* 0: 1,000, which is often enough for a net_ticktime of 2 s */
  size_t max_mailbox; /* bytes of unread messages that are kept; 0: 64 MiB */
  bool rex;           /* call through `rex` also where the node could do better */
} edr_node_options;

/* Connects; errors are those of edr_dial. */
edr_status edr_node_open(const edr_node_options *options, edr_node **out_node, edr_error *error);

/* Closes the connection and ends calls in flight; the handle can still be asked about. Idempotent. */
void edr_node_close(edr_node *node);

/* Closes and frees. Calls of this node must have been freed before. NULL is fine. */
void edr_node_free(edr_node *node);

/* What failed last on this node, in words. */
const edr_error *edr_node_error(const edr_node *node);
bool edr_node_is_open(const edr_node *node);
const char *edr_node_name(const edr_node *node);
const edr_pid *edr_node_self(const edr_node *node);
int edr_node_fd(const edr_node *node);

/* `message` is one term without a version byte. EDR_OK: it was handed to the socket. */
edr_status edr_node_send(edr_node *node, const edr_pid *to, const edr_buf *message, int64_t deadline_ms);
edr_status edr_node_send_name(edr_node *node, const char *name, const edr_buf *message, int64_t deadline_ms);

/* The oldest unread message, taken out: appended to `message` as a term without a version byte. Waits for one until the
 * deadline. EDR_ETIMEOUT, EDR_EINTERRUPTED, or why the connection broke. */
edr_status edr_node_receive(edr_node *node, int64_t deadline_ms, edr_buf *message);

/* Messages that were dropped because nobody read them and the mailbox was full, and requests to print that nobody saw
 * because too many were kept. */
size_t edr_node_dropped(const edr_node *node);

/* Takes what has arrived and sends what is queued, without waiting: for event loops and for long pauses of the caller.
 */
edr_status edr_node_pump(edr_node *node);

/* Lets time pass until the deadline while the connection is served. EDR_OK at the deadline. */
edr_status edr_node_sleep(edr_node *node, int64_t deadline_ms);

/* Whether anything still waits to be written (an event loop then wants to know about writability, too). */
bool edr_node_wants_write(edr_node *node);

/* Whether something is here already of which polling would say nothing (TLS keeps bytes inside): pump without waiting.
 */
bool edr_node_has_input(edr_node *node);

#endif
