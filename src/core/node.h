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
#include "status.h"

typedef struct edr_node edr_node;
typedef struct edr_call edr_call;

typedef struct edr_node_options {
  edr_dial_options dial;
  size_t max_frame;   /* 0: EDR_FRAME_DEFAULT_MAX */
  int64_t tick_ms;    /* 0: 1,000, which is often enough for a net_ticktime of 2 s */
  size_t max_mailbox; /* bytes of unread messages that are kept; 0: 64 MiB */
  bool rex;           /* call through `rex` also where the node could do better */
} edr_node_options;

/* How a call ended. Source: erpc(3), "call/5". */
typedef enum edr_outcome {
  EDR_OUTCOME_PENDING,
  EDR_OUTCOME_RETURN, /* value */
  EDR_OUTCOME_THROW,  /* value: what was thrown */
  EDR_OUTCOME_EXIT,   /* value: the exit reason */
  EDR_OUTCOME_ERROR   /* value: the error's reason */
} edr_outcome;

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

/* Starts `module:function(arguments...)`: it is sent as far as the node takes it at once, and goes out while anybody
 * waits on this node. The deadline bounds how long is waited where megabytes are queued already. `arguments` is one
 * whole list term without a version byte. The call belongs to the caller, who frees it, finished or not; one that is
 * freed early goes on running on the node, and its answer is dropped. */
edr_status edr_node_call(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                         int64_t deadline_ms, edr_call **out_call);

/* The same for an act: for what will be undone by something that must come after it. Its process is linked to us, so it
 * ends with the connection; and edr_node_end_acts ends it. Freeing its call is fine: it can be ended all the same.
 * EDR_ETIMEOUT and EDR_EINTERRUPTED may leave it in flight, and there is no call then. With `rex` nothing ends it
 * before its time. */
edr_status edr_node_act(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                        int64_t deadline_ms, edr_call **out_call);

/* An act that is done for its effect: what it returns is not sent back. The value is the atom `normal` (or, with
 * `rex`, what it returned after all). */
edr_status edr_node_run(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                        int64_t deadline_ms, edr_call **out_call);

/* From now on every act, before it does anything, makes `gen_server:call(Gate, Request, infinity)` in its own process;
 * where that fails nothing is done, and the act has ended as edr_call_was_fenced tells. So a process on the node
 * decides, at the last moment, whether an act may still be done, and knows who does it. `gate` NULL: acts need nobody's
 * leave (the default). */
edr_status edr_node_fence(edr_node *node, const edr_pid *gate, const edr_buf *request);
bool edr_call_was_fenced(const edr_call *call);

/* Ends all acts in flight: their processes are killed, and are dead on EDR_OK (with `rex`: they are waited for).
 * Whatever the node is asked from then on comes after them. Nothing is sent and nothing waited for where there are
 * none. Signals do not cut it short. EDR_ETIMEOUT: one has not ended yet; or why the connection broke. The node's error
 * stays what it was. */
edr_status edr_node_end_acts(edr_node *node, int64_t deadline_ms);

/* Waits until the call has ended. EDR_ETIMEOUT and EDR_EINTERRUPTED leave it in flight: it can be waited for again.
 * EDR_ELIMIT: it ended, and its answer is too deep or too large to be read. Otherwise why the connection broke. */
edr_status edr_node_await(edr_node *node, edr_call *call, int64_t deadline_ms);
edr_outcome edr_call_outcome(const edr_call *call);
bool edr_call_has_ended(const edr_call *call); /* as far as was read: edr_node_await comes back at once */

/* What is called prints to us. From now on its requests (`{io_request, From, ReplyAs, Request}`, stdlib User's Guide,
 * "The Erlang I/O Protocol") are kept for the caller to answer, each printing process waiting for that; or, as from the
 * start, they are answered here and shown to nobody; so are then those that are kept. */
void edr_node_keep_output(edr_node *node, bool keep);

/* The oldest of those requests, taken out: appended to `request`. EDR_EAGAIN: there is none, or EDR_MAX_FORMATS calls
 * of edr_node_format are in flight; EDR_ENOMEM. What is beyond 64 MiB of them is answered unseen, and counted as
 * dropped. */
edr_status edr_node_output(edr_node *node, edr_buf *request);

/* Answers a request that edr_node_output gave as those are that nobody wants to see. EDR_ELIMIT as below; EDR_ENOMEM.
 */
edr_status edr_node_answer_unseen(edr_node *node, const edr_buf *request);

/* Starts a call that such a request needs before it can be answered. Two things that printing may cost us nobody waits
 * for, whatever the peer takes: this, and the answer. EDR_ELIMIT: too much is queued for it already; the connection
 * ends. */
enum { EDR_MAX_FORMATS = 4 };
edr_status edr_node_format(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                           edr_call **out_call);

/* Sends `message` without waiting: `{io_reply, ReplyAs, Reply}`. EDR_ELIMIT as above. */
edr_status edr_node_answer(edr_node *node, const edr_pid *to, const edr_buf *message);

/* As edr_node_await, but also ends, with EDR_EAGAIN, when edr_node_output has a request to give, or a call of
 * edr_node_format has ended. `call` may be NULL: nothing else is waited for. */
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

/* Spawns a process on the node that is linked to us: it dies when the connection does, whatever becomes of us. It gets
 * low priority: it is there to wait, and whoever sends to it need not make way for it. Where this
 * fails (EDR_ETIMEOUT, EDR_EINTERRUPTED) and the process comes to life after all, it is killed as soon as that is
 * known; only with `rex` it may live on, so give it an end of its own. EDR_EBADARG for more than 255 arguments. */
edr_status edr_node_spawn_linked(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                                 int64_t deadline_ms, edr_pid *out_pid);

/* exit(Pid, kill). Queued: it never waits. */
edr_status edr_node_kill(edr_node *node, const edr_pid *pid);

/* A pid of this life of the node whose process has ended. Asks the node once. */
edr_status edr_node_gone_pid(edr_node *node, int64_t deadline_ms, edr_pid *out_pid);

/* `message` is one term without a version byte. EDR_OK: it was handed to the socket. */
edr_status edr_node_send(edr_node *node, const edr_pid *to, const edr_buf *message, int64_t deadline_ms);
edr_status edr_node_send_name(edr_node *node, const char *name, const edr_buf *message, int64_t deadline_ms);

/* Monitors a process: `{'DOWN', Ref, process, Pid, Reason}` will be among the messages. EDR_ENOTSUP where the node did
 * not take our DIST_MONITOR_NAME. */
edr_status edr_node_monitor(edr_node *node, const edr_pid *pid, edr_ref *out_ref);
edr_status edr_node_demonitor(edr_node *node, const edr_ref *ref);

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
