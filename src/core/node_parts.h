/* Inside the node only: what node.c (the connection), node_incoming.c (what arrives) and node_calls.c (calls and
 * spawns) share. Nobody else includes this. */
#ifndef EDR_NODE_PARTS_H
#define EDR_NODE_PARTS_H

#include "inbox.h"
#include "node.h"
#include "stream.h"

enum { EDR_SEND_GRACE_MS = 30000 }; /* how long a peer may take to take what we send, where no deadline is given */

/* A monitor of ours: the node wants to be told the process again when it ends. */
typedef struct edr_monitor {
  edr_ref ref; /* first: a reference is looked up as it stands */
  edr_pid pid;
} edr_monitor;

struct edr_call {
  edr_call *next;
  edr_node *node; /* NULL once the node is gone */
  edr_ref ref;
  edr_outcome outcome;
  bool formats;   /* of edr_node_format, one of `node->formats` */
  bool only_runs; /* of edr_node_run: its process ends with `normal`, and brings no answer */
  bool is_act;    /* of edr_node_act or edr_node_run: its process is linked to us */
  bool fenced;    /* came through the gate: what it returns is `[ok, Value]` */
  bool orphan;    /* an act in flight that the caller has freed: it is the node's */
  bool ending;    /* its process is to be killed as soon as it is known */
  bool process_known;
  edr_pid process;
  edr_status unreadable; /* EDR_OK, or why the answer that came cannot be had */
  edr_buf bytes;         /* the answer */
  edr_slice value;       /* points into bytes */
};

/* A spawn request whose reply somebody waits for. */
typedef struct edr_pending_spawn {
  edr_ref ref;
  edr_pid pid;
  bool active, replied, failed;
} edr_pending_spawn;

struct edr_node {
  edr_stream stream;
  edr_dialed dialed;
  char *name;
  bool open, rex;
  edr_error error;
  edr_call *calls;
  void *monitors; /* a tree by reference: tsearch(3) */
  edr_pending_spawn spawn;
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

/* ---- node.c ---- */

/* Says in words why something failed, unless the words are there already. Passes EDR_OK through. */
edr_status edr_node_fail(edr_node *node, edr_status status, const char *doing);
void edr_node_next_ref(edr_node *node, edr_ref *out_ref);

/* Ends the frame in `node->frame` and sends it, waiting until no more than `rest` bytes are queued. */
edr_status edr_node_write_frame(edr_node *node, size_t begin, size_t rest, int64_t deadline_ms);

/* Queues the frame in `node->reply`: for when nothing may wait, as while frames are read. EDR_ELIMIT: as edr_node_owe.
 */
edr_status edr_node_queue_reply(edr_node *node, size_t begin);

/* Queues a message in the same way. */
edr_status edr_node_queue_send(edr_node *node, const edr_pid *to, const uint8_t *term, size_t size);

/* EDR_ELIMIT where the peer is owed so much that it has not taken that it is to get no more. */
edr_status edr_node_owe(edr_node *node);

/* Ends the connection where `status` is EDR_ELIMIT, outside of a read; a read ends it by itself. Passes `status`
 * through. */
edr_status edr_node_end_at_limit(edr_node *node, edr_status status);

void edr_node_put_name(edr_buf *buf, const char *name);

/* The monitor of this reference, or NULL. One that is taken out is the caller's to free. */
const edr_monitor *edr_node_find_monitor(const edr_node *node, const edr_ref *ref);
edr_monitor *edr_node_take_monitor(edr_node *node, const edr_ref *ref);

/* ---- node_calls.c ---- */

/* Whether anything that is printed can be gone on with. */
bool edr_node_has_output(const edr_node *node);

/* An act of ours has begun under this pid; the one that must not go on is killed. */
edr_status edr_node_act_began(edr_node *node, edr_call *call, const edr_pid *process);

/* The node goes: what it keeps for itself is freed, and the caller's calls have no node any more. */
void edr_node_orphan_calls(edr_node *node);

/* ---- node_incoming.c ---- */

/* What the stream calls for each frame; `context` is the node. */
edr_status edr_node_on_frame(void *context, const uint8_t *frame, size_t size);

#endif
