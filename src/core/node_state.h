/* Inside the node only: what it consists of, and how anything is sent. The units of the node (node_monitors,
 * node_calls, node_incoming, and node on top) build on this; nobody else includes it. */
#ifndef EDR_NODE_STATE_H
#define EDR_NODE_STATE_H

#include "control.h"
#include "dial.h"
#include "inbox.h"
#include "stream.h"

typedef struct edr_node edr_node;
struct edr_call; /* of node_calls */

enum { EDR_SEND_GRACE_MS = 30000 }; /* how long a peer may take to take what we send, where no deadline is given */

struct edr_node {
  edr_stream stream;
  edr_dialed dialed;
  char *name;
  bool open, rex;
  edr_error error;
  struct edr_call *calls; /* see node_calls.h */
  void *monitors;         /* see node_monitors.h */
  edr_inbox inbox;
  edr_inbox output;      /* requests to print, while `keeps_output` */
  bool keeps_output;     /* else they are answered, and what they print is not shown */
  size_t formats;        /* calls of edr_node_format that were not freed yet */
  uint32_t ref_words[3]; /* the next reference */
  edr_pid gone;          /* of edr_node_gone_pid, once `gone_known` */
  bool gone_known;
  edr_pid gate; /* of edr_node_fence, and the arguments of the call to it; those are empty where acts need none */
  edr_buf gate_call;
  edr_buf frame; /* where frames are built */
  edr_buf reply; /* frames built while others are read */
};

/* Says in words why something failed, unless the words are there already. Passes EDR_OK through. */
edr_status edr_node_fail(edr_node *node, edr_status status, const char *doing);
void edr_node_next_ref(edr_node *node, edr_ref *out_ref);

/* Ends the frame in `node->frame` and sends it, waiting until no more than `rest` bytes are queued. */
edr_status edr_node_write_frame(edr_node *node, size_t begin, size_t rest, int64_t deadline_ms);

/* Queues the frame in `node->reply`: for when nothing may wait, as while frames are read. EDR_ELIMIT: as edr_node_owe.
 */
edr_status edr_node_queue_reply(edr_node *node, size_t begin);

/* Begins a message in `buf`, which `edr_control_end` ends: `{2, '', To}` and the term. */
size_t edr_node_put_send(edr_buf *buf, const edr_pid *to, const uint8_t *term, size_t size);

/* Queues a message in the same way. */
edr_status edr_node_queue_send(edr_node *node, const edr_pid *to, const uint8_t *term, size_t size);

/* EDR_ELIMIT where the peer is owed so much that it has not taken that it is to get no more. */
edr_status edr_node_owe(edr_node *node);

/* Ends the connection where `status` is EDR_ELIMIT, outside of a read; a read ends it by itself. Passes `status`
 * through. */
edr_status edr_node_end_at_limit(edr_node *node, edr_status status);

#endif
