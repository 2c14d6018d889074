/* Calls of functions on the node, several in flight; casts, spawns and kills. The part of node.h for callers, and what
 * node_incoming needs. By SPAWN_REQUEST where the node can, through its server `rex` otherwise. */
#ifndef EDR_NODE_CALLS_H
#define EDR_NODE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "etf.h"
#include "slice.h"
#include "status.h"

typedef struct edr_node edr_node;
typedef struct edr_call edr_call;

/* How a call ended. Source: erpc(3), "call/5". */
typedef enum edr_outcome {
  EDR_OUTCOME_PENDING,
  EDR_OUTCOME_RETURN, /* value */
  EDR_OUTCOME_THROW,  /* value: what was thrown */
  EDR_OUTCOME_EXIT,   /* value: the exit reason */
  EDR_OUTCOME_ERROR   /* value: the error's reason */
} edr_outcome;

/* Starts `module:function(arguments...)`: it is sent as far as the node takes it at once, and goes out while anybody
 * waits on this node. The deadline bounds how long is waited where megabytes are queued already. `arguments` is one
 * whole list term without a version byte. The call belongs to the caller, who frees it, finished or not; one that is
 * freed early keeps running on the node, and its answer is dropped. */
edr_status edr_node_call(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                         int64_t deadline_ms, edr_call **out_call);

/* The same for an act: for what will be undone by something that must come after it. Its process is linked to us, so it
 * ends with the connection; and edr_node_end_acts ends it. Freeing its call is fine: it can be ended all the same.
 * EDR_ETIMEOUT and EDR_EINTERRUPTED may leave it in flight, and there is no call then. With `rex` nothing ends it
 * before its time. */
edr_status edr_node_act(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                        int64_t deadline_ms, edr_call **out_call);

/* From now on every act, before it does anything, makes `gen_server:call(Gate, Request, infinity)` in its own process;
 * where that fails nothing is done, and the act has ended as edr_call_was_fenced tells. So a process on the node
 * decides, at the last moment, whether an act may still be done, and knows who does it. `gate` NULL: acts need nobody's
 * leave (the default). */
edr_status edr_node_fence(edr_node *node, const edr_pid *gate, const edr_buf *request);
bool edr_call_was_fenced(const edr_call *call);

/* Whether a call never began, since the node has no room for the process that would make it. */
bool edr_call_had_no_room(const edr_call *call);

/* Ends all acts in flight: their processes are killed, and are dead on EDR_OK (with `rex`: it waits until they have
 * ended). What the node is asked from then on comes after them. Nothing is sent, and there is no wait, where there are
 * none. Signals do not cut it short. EDR_ETIMEOUT: one has not ended yet; or why the connection broke. The node's error
 * stays what it was. */
edr_status edr_node_end_acts(edr_node *node, int64_t deadline_ms);

/* Waits until the call has ended. EDR_ETIMEOUT and EDR_EINTERRUPTED leave it in flight: wait again if you like.
 * EDR_ELIMIT: it ended, and its answer is too deep or too large to be read. Otherwise why the connection broke. */
edr_status edr_node_await(edr_node *node, edr_call *call, int64_t deadline_ms);
edr_outcome edr_call_outcome(const edr_call *call);
bool edr_call_has_ended(const edr_call *call); /* as far as was read: edr_node_await comes back at once */

/* Starts a call that such a request needs before it can be answered. Neither this nor the
 * answer ever waits, even if the peer takes nothing. EDR_ELIMIT: too much is queued for it already; the connection
 * ends. */
enum { EDR_MAX_FORMATS = 4 };
edr_status edr_node_format(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                           edr_call **out_call);

/* As edr_node_await, but also ends, with EDR_EAGAIN, when edr_node_output has a request to give, or a call of
 * edr_node_format has ended. `call` may be NULL: then it waits for nothing else. */
edr_status edr_node_await_output(edr_node *node, edr_call *call, int64_t deadline_ms);

/* The term that came back, without a version byte, checked to be well-formed. Valid until the call is freed. */
edr_slice edr_call_value(const edr_call *call);
void edr_call_free(edr_call *call);

/* Both at once, for the core's own use: EDR_OK only for a normal return. The caller frees the call. */
edr_status edr_node_call_await(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                               int64_t deadline_ms, edr_call **out_call);

/* Runs a function on the node and asks for no answer. EDR_OK: it was sent. */
edr_status edr_node_cast(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                         int64_t deadline_ms);

/* exit(Pid, kill). Queued: it never waits. */
edr_status edr_node_kill(edr_node *node, const edr_pid *pid);

/* A pid of this life of the node whose process has ended. Asks the node once. */
edr_status edr_node_gone_pid(edr_node *node, int64_t deadline_ms, edr_pid *out_pid);

/* ---- inside the node ---- */

struct edr_call {
  edr_call *next;
  edr_node *node; /* NULL once the node is gone */
  edr_ref ref;
  edr_outcome outcome;
  bool formats; /* of edr_node_format, one of `node->formats` */
  bool is_act;  /* of edr_node_act: its process is linked to us */
  bool fenced;  /* came through the gate: what it returns is `[ok, Value]` */
  bool orphan;  /* an act in flight that the caller has freed: it is the node's */
  bool ending;  /* its process is to be killed as soon as it is known */
  bool process_known;
  edr_pid process;
  edr_status unreadable; /* EDR_OK, or why the answer that came cannot be had */
  edr_buf bytes;         /* the answer */
  edr_slice value;       /* points into bytes */
};

/* The call in flight that this reference names, or NULL. */
edr_call *edr_node_find_call(edr_node *node, const edr_ref *ref);

/* Its answer has come: a copy of `value` is kept. EDR_ENOMEM. */
edr_status edr_call_end(edr_call *call, edr_outcome outcome, edr_slice value);

/* Whether anything that is printed can be gone on with. */
bool edr_node_has_output(const edr_node *node);

/* An act of ours has begun under this pid; the one that must not go on is killed. */
edr_status edr_node_act_began(edr_node *node, edr_call *call, const edr_pid *process);

/* The node goes: what it keeps for itself is freed, and the caller's calls have no node any more. */
void edr_node_orphan_calls(edr_node *node);

#endif
