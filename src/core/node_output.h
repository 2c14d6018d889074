/* What called functions print to us: requests that are kept for the caller to answer, or answered here and shown to
 * nobody. The part of node.h for callers, and what node_incoming needs. */
#ifndef EDR_NODE_OUTPUT_H
#define EDR_NODE_OUTPUT_H

#include <stdbool.h>

#include "buf.h"
#include "etf.h"
#include "slice.h"
#include "status.h"

typedef struct edr_node edr_node;

/* What is called prints to us. From now on its requests (`{io_request, From, ReplyAs, Request}`, stdlib User's Guide,
 * "The Erlang I/O Protocol") are kept for the caller to answer, each printing process waiting for that; or, as from the
 * start, they are answered here and shown to nobody; so are then those that are kept. */
void edr_node_keep_output(edr_node *node, bool keep);

/* The oldest of those requests, taken out: appended to `request`. EDR_EAGAIN: there is none, or EDR_MAX_FORMATS calls
 * of edr_node_format are in flight; EDR_ENOMEM. What is beyond 64 MiB of them is answered unseen, and counted as
 * dropped. */
edr_status edr_node_output(edr_node *node, edr_buf *request);

/* Sends `message` without waiting: `{io_reply, ReplyAs, Reply}`. EDR_ELIMIT as above. */
edr_status edr_node_answer(edr_node *node, const edr_pid *to, const edr_buf *message);

/* Answers a request that edr_node_output gave as those are that nobody wants to see. EDR_ELIMIT as above; EDR_ENOMEM.
 */
edr_status edr_node_answer_unseen(edr_node *node, const edr_buf *request);

/* ---- inside the node ---- */

/* A request has come: `parts` are those of `message`, a tuple of four. */
edr_status edr_node_on_io_request(edr_node *node, edr_slice message, const edr_slice parts[4]);

/* One that is too large to be kept, or whose printing nobody wants to see. */
edr_status edr_node_answer_io_request(edr_node *node, const edr_slice parts[4]);

#endif
