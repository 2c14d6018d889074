#include "node.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "inbox.h"
#include "stream.h"

enum { DEFAULT_TICK_MS = 5000, SILENT_PEER_MS = 60000, SEND_GRACE_MS = 30000 };

/* A monitor of ours: the node wants to be told the process again when it ends. */
typedef struct monitor {
  struct monitor *next;
  edr_ref ref;
  edr_pid pid;
} monitor;

struct edr_call {
  edr_call *next;
  edr_node *node; /* NULL once the node is gone */
  edr_ref ref;
  edr_outcome outcome;
  edr_buf bytes; /* the answer */
  edr_slice value; /* points into bytes */
};

/* A spawn request whose reply somebody waits for. It lives on that caller's stack. */
typedef struct pending_spawn {
  edr_ref ref;
  edr_pid pid;
  bool active, replied, failed;
} pending_spawn;

struct edr_node {
  edr_stream stream;
  edr_dialed dialed;
  char *name;
  bool open, rex;
  edr_error error;
  edr_call *calls;
  monitor *monitors;
  pending_spawn spawn;
  edr_inbox inbox;
  uint32_t ref_words[3]; /* the next reference */
  edr_buf frame;         /* where frames are built */
  edr_buf reply;         /* frames built while others are read */
};

/* ---- what arrives ---- */

static edr_call *find_call(edr_node *node, const edr_ref *ref) {
  edr_call *call;
  for (call = node->calls; call != NULL; call = call->next) {
    if (call->outcome == EDR_OUTCOME_PENDING && edr_ref_equal(&call->ref, ref)) return call;
  }
  return NULL;
}

/* Keeps `value`, which points into a frame that will go away. */
static edr_status end_call(edr_call *call, edr_outcome outcome, edr_slice value) {
  edr_buf_clear(&call->bytes);
  edr_buf_append(&call->bytes, value.data, value.size);
  if (edr_buf_status(&call->bytes) != EDR_OK) return EDR_ENOMEM;
  call->value.data = call->bytes.data;
  call->value.size = call->bytes.size;
  call->outcome = outcome;
  return EDR_OK;
}

/* Takes a tuple's elements apart, at most `max` of them; 0 where the term is no tuple of 1 to `max` elements. */
static size_t tuple_elements(edr_slice term, edr_slice *elements, size_t max) {
  edr_etf_reader reader;
  size_t arity = 0, i;
  edr_etf_reader_init(&reader, term.data, term.size, NULL);
  if (edr_etf_read_tuple(&reader, &arity) != EDR_OK || arity > max) arity = 0;
  for (i = 0; i < arity; i++) {
    elements[i].data = reader.data + reader.offset;
    if (edr_etf_skip(&reader) != EDR_OK) {
      arity = 0;
      break;
    }
    elements[i].size = (size_t)(reader.data + reader.offset - elements[i].data);
  }
  edr_etf_reader_deinit(&reader);
  return arity;
}

static bool is_atom(edr_slice term, const char *atom) {
  edr_etf_reader reader;
  bool is;
  edr_etf_reader_init(&reader, term.data, term.size, NULL);
  is = edr_etf_read_this_atom(&reader, atom) == EDR_OK;
  edr_etf_reader_deinit(&reader);
  return is;
}

/* The process of a call has ended. Its reason is `{Ref, return, Value}`, `{Ref, throw|exit, Reason}` or
 * `{Ref, error, Reason, Stack}`; anything else killed it from outside. Source: erpc:execute_call/4. */
static edr_status on_call_ended(edr_call *call, edr_slice reason) {
  edr_slice parts[4];
  edr_ref ref;
  const size_t count = tuple_elements(reason, parts, 4);
  if (count >= 3 && edr_slice_ref(parts[0], &ref) == EDR_OK && edr_ref_equal(&ref, &call->ref)) {
    if (is_atom(parts[1], "return")) return end_call(call, EDR_OUTCOME_RETURN, parts[2]);
    if (is_atom(parts[1], "throw")) return end_call(call, EDR_OUTCOME_THROW, parts[2]);
    if (is_atom(parts[1], "exit")) return end_call(call, EDR_OUTCOME_EXIT, parts[2]);
    if (is_atom(parts[1], "error")) return end_call(call, EDR_OUTCOME_ERROR, parts[2]);
  }
  return end_call(call, EDR_OUTCOME_EXIT, reason);
}

static edr_status on_monitor_exit(edr_node *node, const edr_control *control, edr_slice reason) {
  edr_ref ref;
  edr_call *call;
  monitor **at;

  if (reason.data == NULL || edr_slice_ref(control->elements[2], &ref) != EDR_OK) return EDR_EPROTOCOL;
  if ((call = find_call(node, &ref)) != NULL) return on_call_ended(call, reason);
  for (at = &node->monitors; *at != NULL; at = &(*at)->next) {
    monitor *found = *at;
    edr_status status;
    if (!edr_ref_equal(&found->ref, &ref)) continue;
    *at = found->next;
    status = edr_inbox_put_down(&node->inbox, &found->ref, &found->pid, reason);
    free(found);
    return status;
  }
  return EDR_OK; /* of a call that was given up */
}

static edr_status on_spawn_reply(edr_node *node, const edr_control *control) {
  edr_ref ref;
  edr_call *call;
  if (edr_slice_ref(control->elements[0], &ref) != EDR_OK) return EDR_EPROTOCOL;
  if (node->spawn.active && edr_ref_equal(&node->spawn.ref, &ref)) {
    node->spawn.replied = true;
    node->spawn.failed = edr_slice_pid(control->elements[3], &node->spawn.pid) != EDR_OK;
    return EDR_OK;
  }
  /* A call's own process is monitored; only where it could not be spawned is this its answer. */
  call = find_call(node, &ref);
  if (call != NULL && control->elements[3].size > 0) {
    edr_pid pid;
    if (edr_slice_pid(control->elements[3], &pid) != EDR_OK) return end_call(call, EDR_OUTCOME_ERROR, control->elements[3]);
  }
  return EDR_OK;
}

/* Queues the frame in `reply`: used while frames are read, when nothing may wait. */
static edr_status queue_reply(edr_node *node, size_t begin) {
  const edr_status status = edr_control_end(&node->reply, begin);
  return status != EDR_OK ? status : edr_stream_queue(&node->stream, node->reply.data, node->reply.size);
}

static edr_status send_term(edr_node *node, const edr_pid *to, const uint8_t *term, size_t size) {
  size_t begin;
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_SEND, 2);
  edr_etf_put_atom(&node->reply, "", 0);
  edr_etf_put_pid(&node->reply, to);
  edr_control_payload(&node->reply, term, size);
  return queue_reply(node, begin);
}

/* `net_kernel` of ours is asked `{'$gen_call', {Pid, Tag}, {is_auth, _}}` by net_adm:ping: `{Tag, yes}`. Every other
 * name is not registered here. */
static edr_status on_reg_send(edr_node *node, const edr_control *control) {
  edr_slice call[3], from[2], request[2];
  edr_pid pid;
  edr_buf answer;
  edr_status status;

  if (!is_atom(control->elements[2], "net_kernel") || control->payload.data == NULL) return EDR_OK;
  if (tuple_elements(control->payload, call, 3) != 3 || !is_atom(call[0], "$gen_call")) return EDR_OK;
  if (tuple_elements(call[1], from, 2) != 2 || edr_slice_pid(from[0], &pid) != EDR_OK) return EDR_OK;
  if (tuple_elements(call[2], request, 2) != 2 || !is_atom(request[0], "is_auth")) return EDR_OK;
  edr_buf_init(&answer);
  edr_etf_put_tuple(&answer, 2);
  edr_buf_append(&answer, from[1].data, from[1].size);
  edr_etf_put_atom(&answer, "yes", 3);
  status = edr_buf_status(&answer);
  if (status == EDR_OK) status = send_term(node, &pid, answer.data, answer.size);
  edr_buf_deinit(&answer);
  return status;
}

/* We are the group leader of what we call: what it prints is taken, so that it does not hang, and not shown.
 * `{io_request, From, ReplyAs, Request}` gets `{io_reply, ReplyAs, ok}`; there is nothing here to read from.
 * Source: stdlib User's Guide, "The Erlang I/O Protocol". */
static edr_status on_io_request(edr_node *node, const edr_slice parts[4]) {
  edr_slice request[8];
  edr_pid from;
  edr_buf answer;
  edr_status status;
  size_t count;

  if (edr_slice_pid(parts[1], &from) != EDR_OK) return EDR_OK;
  count = tuple_elements(parts[3], request, 8);
  edr_buf_init(&answer);
  edr_etf_put_tuple(&answer, 3);
  edr_etf_put_atom(&answer, "io_reply", 8);
  edr_buf_append(&answer, parts[2].data, parts[2].size);
  if (count > 0 && (is_atom(request[0], "put_chars") || is_atom(request[0], "requests") || is_atom(request[0], "setopts"))) {
    edr_etf_put_atom(&answer, "ok", 2);
  } else {
    edr_etf_put_tuple(&answer, 2);
    edr_etf_put_atom(&answer, "error", 5);
    edr_etf_put_atom(&answer, "enotsup", 7);
  }
  status = edr_buf_status(&answer);
  if (status == EDR_OK) status = send_term(node, &from, answer.data, answer.size);
  edr_buf_deinit(&answer);
  return status;
}

/* A message to us: an answer of `rex` to a call, something printed, or mail. */
static edr_status on_message(edr_node *node, const edr_control *control) {
  edr_slice parts[4], badrpc[2], exit_reason[2];
  edr_ref ref;
  edr_call *call;
  size_t count;

  if (control->payload.data == NULL) return EDR_EPROTOCOL;
  count = tuple_elements(control->payload, parts, 4);
  if (count == 4 && is_atom(parts[0], "io_request")) return on_io_request(node, parts);
  if (count == 2 && edr_slice_ref(parts[0], &ref) == EDR_OK && (call = find_call(node, &ref)) != NULL) {
    if (tuple_elements(parts[1], badrpc, 2) == 2 && is_atom(badrpc[0], "badrpc")) {
      if (tuple_elements(badrpc[1], exit_reason, 2) == 2 && is_atom(exit_reason[0], "EXIT"))
        return end_call(call, EDR_OUTCOME_EXIT, exit_reason[1]);
      return end_call(call, EDR_OUTCOME_EXIT, badrpc[1]);
    }
    return end_call(call, EDR_OUTCOME_RETURN, parts[1]);
  }
  return edr_inbox_put(&node->inbox, control->payload);
}

/* We ourselves may be monitored, as a group leader is by whoever prints; when we go, the connection goes. Nobody else is
 * here: `{21, To, From, Ref, noproc}`. */
static edr_status on_monitor(edr_node *node, const edr_control *control) {
  size_t begin;
  edr_pid to;
  if (edr_slice_pid(control->elements[1], &to) == EDR_OK && edr_pid_equal(&to, &node->dialed.self)) return EDR_OK;
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_MONITOR_P_EXIT, 4);
  edr_buf_append(&node->reply, control->elements[1].data, control->elements[1].size);
  edr_buf_append(&node->reply, control->elements[0].data, control->elements[0].size);
  edr_buf_append(&node->reply, control->elements[2].data, control->elements[2].size);
  edr_etf_put_atom(&node->reply, "noproc", 6);
  return queue_reply(node, begin);
}

/* `{35, Id, From, To}` wants `{36, Id, To, From}`. */
static edr_status on_unlink(edr_node *node, const edr_control *control) {
  size_t begin;
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_UNLINK_ID_ACK, 3);
  edr_buf_append(&node->reply, control->elements[0].data, control->elements[0].size);
  edr_buf_append(&node->reply, control->elements[2].data, control->elements[2].size);
  edr_buf_append(&node->reply, control->elements[1].data, control->elements[1].size);
  return queue_reply(node, begin);
}

static edr_status dispatch(edr_node *node, const edr_control *control) {
  switch (control->op) {
  case EDR_CONTROL_SEND:
  case EDR_CONTROL_SEND_SENDER:
    return control->count == 2 ? on_message(node, control) : EDR_EPROTOCOL;
  case EDR_CONTROL_REG_SEND:
    return control->count == 3 ? on_reg_send(node, control) : EDR_EPROTOCOL;
  case EDR_CONTROL_MONITOR_P:
    return control->count == 3 ? on_monitor(node, control) : EDR_EPROTOCOL;
  case EDR_CONTROL_MONITOR_P_EXIT:
    return control->count == 4 ? on_monitor_exit(node, control, control->elements[3]) : EDR_EPROTOCOL;
  case EDR_CONTROL_PAYLOAD_MONITOR_P_EXIT:
    return control->count == 3 ? on_monitor_exit(node, control, control->payload) : EDR_EPROTOCOL;
  case EDR_CONTROL_SPAWN_REPLY:
    return control->count == 4 ? on_spawn_reply(node, control) : EDR_EPROTOCOL;
  case EDR_CONTROL_UNLINK_ID:
    return control->count == 3 ? on_unlink(node, control) : EDR_EPROTOCOL;
  default:
    return EDR_OK; /* links, exits, trace: nothing of ours hangs on them */
  }
}

static edr_status on_frame(void *context, const uint8_t *frame, size_t size) {
  edr_node *node = context;
  edr_control control;
  const char *problem = "";
  edr_status status = edr_control_decode(frame, size, NULL, &control, &problem);
  if (status == EDR_OK) {
    status = dispatch(node, &control);
    problem = "its terms are not those of its operation";
  }
  if (status == EDR_EPROTOCOL || status == EDR_ELIMIT) {
    edr_error_set(&node->error, status, 0, "%s sent a frame of %zu bytes that cannot be read: %s", node->name, size, problem);
  }
  return status;
}

/* ---- what is sent ---- */

/* Says in words why something failed, unless the words are there already. */
static edr_status fail(edr_node *node, edr_status status, const char *doing) {
  if (status == EDR_OK) return status;
  if (status == EDR_ENODEDOWN && node->stream.broken == status) {
    return edr_error_set(&node->error, status, node->stream.broken_errno, "the connection to %s was lost while %s%s%s",
                         node->name, doing, node->stream.broken_errno != 0 ? ": " : "",
                         node->stream.broken_errno != 0 ? strerror(node->stream.broken_errno) : "");
  }
  if (node->error.code == status && (status == EDR_EPROTOCOL || status == EDR_ELIMIT)) return status;
  return edr_error_set(&node->error, status, 0, "%s, while %s on %s", edr_status_text(status), doing, node->name);
}

static void next_ref(edr_node *node, edr_ref *out_ref) {
  memset(out_ref, 0, sizeof *out_ref);
  out_ref->creation = node->dialed.self.creation;
  out_ref->word_count = 3;
  memcpy(out_ref->words, node->ref_words, sizeof node->ref_words);
  memcpy(out_ref->node, node->dialed.self.node, sizeof out_ref->node);
  /* Only 18 bits of the first word count on the wire. */
  node->ref_words[0] = (node->ref_words[0] + 1) & 0x3ffff;
  if (node->ref_words[0] == 0 && ++node->ref_words[1] == 0) ++node->ref_words[2];
}

static edr_status write_frame(edr_node *node, size_t begin, int64_t deadline_ms) {
  edr_status status = edr_control_end(&node->frame, begin);
  if (status == EDR_OK) status = edr_stream_write(&node->stream, node->frame.data, node->frame.size, deadline_ms);
  if (node->frame.capacity > ((size_t)1 << 20)) edr_buf_deinit(&node->frame);
  return status;
}

static void put_name(edr_buf *buf, const char *name) { edr_etf_put_atom(buf, name, strlen(name)); }

/* `{29, ReqId, From, GroupLeader, {M, F, A}, Options}` and the argument list. `option` may be NULL. */
static edr_status write_spawn(edr_node *node, const edr_ref *ref, const char *module, const char *function, uint8_t arity,
                              const edr_buf *arguments, const char *option, int64_t deadline_ms) {
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_SPAWN_REQUEST, 5);
  edr_etf_put_ref(&node->frame, ref);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_tuple(&node->frame, 3);
  put_name(&node->frame, module);
  put_name(&node->frame, function);
  edr_etf_put_int(&node->frame, arity);
  if (option != NULL) {
    edr_etf_put_list(&node->frame, 1);
    put_name(&node->frame, option);
  }
  edr_etf_put_nil(&node->frame);
  edr_control_payload(&node->frame, arguments->data, arguments->size);
  return write_frame(node, begin, deadline_ms);
}

/* `{'$gen_call', {Self, Ref}, {call, M, F, A, Self}}` or `{'$gen_cast', {cast, M, F, A, Self}}` to `rex`. */
static edr_status write_rex(edr_node *node, const edr_ref *ref, const char *module, const char *function,
                            const edr_buf *arguments, int64_t deadline_ms) {
  size_t begin;
  edr_buf *frame = &node->frame;
  edr_buf_clear(frame);
  begin = edr_control_begin(frame, EDR_CONTROL_REG_SEND, 3);
  edr_etf_put_pid(frame, &node->dialed.self);
  put_name(frame, "");
  put_name(frame, "rex");
  edr_etf_put_version(frame);
  edr_etf_put_tuple(frame, ref != NULL ? 3 : 2);
  put_name(frame, ref != NULL ? "$gen_call" : "$gen_cast");
  if (ref != NULL) {
    edr_etf_put_tuple(frame, 2);
    edr_etf_put_pid(frame, &node->dialed.self);
    edr_etf_put_ref(frame, ref);
  }
  edr_etf_put_tuple(frame, 5);
  put_name(frame, ref != NULL ? "call" : "cast");
  put_name(frame, module);
  put_name(frame, function);
  edr_buf_append(frame, arguments->data, arguments->size);
  edr_etf_put_pid(frame, &node->dialed.self);
  return write_frame(node, begin, deadline_ms);
}

/* ---- opening and closing ---- */

edr_status edr_node_open(const edr_node_options *options, edr_node **out_node, edr_error *error) {
  edr_node *node = calloc(1, sizeof *node);
  const unsigned int silence = SILENT_PEER_MS;
  int fd;
  edr_status status;

  if (node == NULL) return edr_error_set(error, EDR_ENOMEM, 0, "%s", edr_status_text(EDR_ENOMEM));
  status = edr_dial(&options->dial, &node->dialed, error);
  if (status != EDR_OK) {
    free(node);
    return status;
  }
  fd = node->dialed.fd;
  /* Our ticks go unacknowledged when the peer vanishes without a word: that, too, is noticed. Best effort. */
  (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof silence);
  node->rex = options->rex || (node->dialed.peer_flags & EDR_DFLAG_SPAWN) == 0 ||
              (node->dialed.our_flags & EDR_DFLAG_DIST_MONITOR_NAME) == 0;
  node->ref_words[0] = (uint32_t)edr_clock_now_us() & 0x3ffff;
  node->ref_words[1] = (uint32_t)(edr_clock_now_us() >> 18);
  edr_inbox_init(&node->inbox, options->max_mailbox);
  node->name = strdup(options->dial.node);
  status = edr_stream_open(&node->stream, fd, options->max_frame,
                           options->tick_ms > 0 ? options->tick_ms : DEFAULT_TICK_MS, on_frame, node);
  node->open = status == EDR_OK;
  if (status == EDR_OK && node->name == NULL) status = EDR_ENOMEM;
  if (status != EDR_OK) {
    edr_node_free(node);
    return edr_error_set(error, status, 0, "%s", edr_status_text(status));
  }
  *out_node = node;
  return EDR_OK;
}

void edr_node_close(edr_node *node) {
  if (!node->open) return;
  node->open = false;
  edr_stream_close(&node->stream);
  if (node->error.code == EDR_OK) edr_error_set(&node->error, EDR_ECLOSED, 0, "the connection to %s was closed", node->name);
}

void edr_node_free(edr_node *node) {
  if (node == NULL) return;
  edr_node_close(node);
  while (node->monitors != NULL) {
    monitor *gone = node->monitors;
    node->monitors = gone->next;
    free(gone);
  }
  while (node->calls != NULL) {
    edr_call *orphan = node->calls;
    node->calls = orphan->next;
    orphan->node = NULL;
  }
  edr_inbox_deinit(&node->inbox);
  edr_buf_deinit(&node->frame);
  edr_buf_deinit(&node->reply);
  free(node->name);
  free(node);
}

const edr_error *edr_node_error(const edr_node *node) { return &node->error; }
bool edr_node_is_open(const edr_node *node) { return node->open && node->stream.broken == EDR_OK; }
const char *edr_node_name(const edr_node *node) { return node->name; }
const edr_pid *edr_node_self(const edr_node *node) { return &node->dialed.self; }
int edr_node_fd(const edr_node *node) { return node->stream.fd; }
size_t edr_node_dropped(const edr_node *node) { return node->inbox.dropped; }
bool edr_node_wants_write(edr_node *node) { return node->open && edr_stream_wants_write(&node->stream); }

/* ---- calls ---- */

edr_status edr_node_call(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                         edr_call **out_call) {
  edr_call *call = calloc(1, sizeof *call);
  const int64_t deadline_ms = edr_deadline_after(SEND_GRACE_MS);
  edr_status status;

  if (call == NULL) return fail(node, EDR_ENOMEM, "starting a call");
  edr_buf_init(&call->bytes);
  next_ref(node, &call->ref);
  call->node = node;
  call->next = node->calls;
  node->calls = call; /* before it is sent: the answer may come while it is being written */
  if (node->rex) {
    status = write_rex(node, &call->ref, module, function, arguments, deadline_ms);
  } else {
    edr_buf all;
    edr_buf_init(&all);
    edr_etf_put_list(&all, 4);
    edr_etf_put_ref(&all, &call->ref);
    put_name(&all, module);
    put_name(&all, function);
    edr_buf_append(&all, arguments->data, arguments->size);
    edr_etf_put_nil(&all);
    status = edr_buf_status(&all);
    if (status == EDR_OK) status = write_spawn(node, &call->ref, "erpc", "execute_call", 4, &all, "monitor", deadline_ms);
    edr_buf_deinit(&all);
  }
  if (status != EDR_OK) {
    edr_call_free(call);
    return fail(node, status, "starting a call");
  }
  *out_call = call;
  return EDR_OK;
}

edr_status edr_node_await(edr_node *node, edr_call *call, int64_t deadline_ms) {
  while (call->outcome == EDR_OUTCOME_PENDING) {
    const edr_status status = edr_stream_read(&node->stream, deadline_ms);
    if (call->outcome != EDR_OUTCOME_PENDING) break; /* the answer came before the connection broke */
    if (status != EDR_OK) return fail(node, status, "waiting for the answer to a call");
  }
  return EDR_OK;
}

edr_outcome edr_call_outcome(const edr_call *call) { return call->outcome; }
edr_slice edr_call_value(const edr_call *call) { return call->value; }

void edr_call_free(edr_call *call) {
  if (call == NULL) return;
  if (call->node != NULL) {
    edr_call **at = &call->node->calls;
    while (*at != call) at = &(*at)->next;
    *at = call->next;
  }
  edr_buf_deinit(&call->bytes);
  free(call);
}

edr_status edr_node_call_await(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                               int64_t deadline_ms, edr_call **out_call) {
  edr_call *call = NULL;
  edr_status status = edr_node_call(node, module, function, arguments, &call);
  if (status != EDR_OK) return status;
  status = edr_node_await(node, call, deadline_ms);
  if (status == EDR_OK && call->outcome != EDR_OUTCOME_RETURN) {
    status = edr_error_set(&node->error, EDR_EPROTOCOL, 0, "%s:%s failed on %s", module, function, node->name);
  }
  if (status != EDR_OK) {
    edr_call_free(call);
    return status;
  }
  *out_call = call;
  return EDR_OK;
}

edr_status edr_node_cast(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                         int64_t deadline_ms) {
  edr_etf_reader reader;
  edr_etf_token token;
  edr_ref ref;
  size_t arity = 0;

  if (node->rex) return fail(node, write_rex(node, NULL, module, function, arguments, deadline_ms), "casting");
  edr_etf_reader_init(&reader, arguments->data, arguments->size, NULL);
  if (edr_etf_next(&reader, &token) == EDR_OK) {
    if (token.kind == EDR_ETF_LIST) arity = token.count;
    if (token.kind == EDR_ETF_STRING) arity = token.size;
  }
  edr_etf_reader_deinit(&reader);
  if (arity > UINT8_MAX) return fail(node, EDR_EBADARG, "casting");
  next_ref(node, &ref);
  return fail(node, write_spawn(node, &ref, module, function, (uint8_t)arity, arguments, NULL, deadline_ms), "casting");
}

/* `{1, From, To}`. For nodes that cannot spawn at our request. */
static edr_status link_to(edr_node *node, const edr_pid *pid, int64_t deadline_ms) {
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_LINK, 2);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_pid(&node->frame, pid);
  return write_frame(node, begin, deadline_ms);
}

static edr_status spawn_by_call(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                                int64_t deadline_ms, edr_pid *out_pid) {
  edr_buf all;
  edr_call *call = NULL;
  edr_status status;
  edr_buf_init(&all);
  edr_etf_put_list(&all, 3);
  put_name(&all, module);
  put_name(&all, function);
  edr_buf_append(&all, arguments->data, arguments->size);
  edr_etf_put_nil(&all);
  status = edr_buf_status(&all);
  if (status == EDR_OK) status = edr_node_call_await(node, "erlang", "spawn", &all, deadline_ms, &call);
  edr_buf_deinit(&all);
  if (status != EDR_OK) return status;
  status = edr_slice_pid(call->value, out_pid);
  edr_call_free(call);
  if (status != EDR_OK) return fail(node, status, "spawning a process");
  status = link_to(node, out_pid, deadline_ms);
  if (status != EDR_OK) (void)edr_node_kill(node, out_pid);
  return fail(node, status, "spawning a process");
}

edr_status edr_node_spawn_linked(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                                 int64_t deadline_ms, edr_pid *out_pid) {
  edr_status status;
  if (node->rex) return spawn_by_call(node, module, function, arguments, deadline_ms, out_pid);
  memset(&node->spawn, 0, sizeof node->spawn);
  next_ref(node, &node->spawn.ref);
  node->spawn.active = true;
  status = write_spawn(node, &node->spawn.ref, module, function, 1, arguments, "link", deadline_ms);
  while (status == EDR_OK && !node->spawn.replied) {
    status = edr_stream_read(&node->stream, deadline_ms);
    if (node->spawn.replied) status = EDR_OK;
  }
  node->spawn.active = false;
  if (status == EDR_OK && node->spawn.failed) status = EDR_ENOTSUP;
  if (status != EDR_OK) return fail(node, status, "spawning a process");
  *out_pid = node->spawn.pid;
  return EDR_OK;
}

edr_status edr_node_kill(edr_node *node, const edr_pid *pid) {
  size_t begin;
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_EXIT2, 3);
  edr_etf_put_pid(&node->reply, &node->dialed.self);
  edr_etf_put_pid(&node->reply, pid);
  put_name(&node->reply, "kill");
  return queue_reply(node, begin);
}

/* ---- messages ---- */

edr_status edr_node_send(edr_node *node, const edr_pid *to, const edr_buf *message, int64_t deadline_ms) {
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_SEND, 2);
  put_name(&node->frame, "");
  edr_etf_put_pid(&node->frame, to);
  edr_control_payload(&node->frame, message->data, message->size);
  return fail(node, write_frame(node, begin, deadline_ms), "sending a message");
}

edr_status edr_node_send_name(edr_node *node, const char *name, const edr_buf *message, int64_t deadline_ms) {
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_REG_SEND, 3);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  put_name(&node->frame, "");
  put_name(&node->frame, name);
  edr_control_payload(&node->frame, message->data, message->size);
  return fail(node, write_frame(node, begin, deadline_ms), "sending a message");
}

edr_status edr_node_monitor(edr_node *node, const edr_pid *pid, edr_ref *out_ref) {
  monitor *made;
  edr_status status;
  size_t begin;

  if ((node->dialed.our_flags & EDR_DFLAG_DIST_MONITOR_NAME) == 0) return fail(node, EDR_ENOTSUP, "monitoring a process");
  made = calloc(1, sizeof *made);
  if (made == NULL) return fail(node, EDR_ENOMEM, "monitoring a process");
  next_ref(node, &made->ref);
  made->pid = *pid;
  made->next = node->monitors;
  node->monitors = made;
  *out_ref = made->ref;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_MONITOR_P, 3);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_pid(&node->frame, pid);
  edr_etf_put_ref(&node->frame, out_ref);
  status = write_frame(node, begin, edr_deadline_after(SEND_GRACE_MS));
  return fail(node, status, "monitoring a process");
}

edr_status edr_node_demonitor(edr_node *node, const edr_ref *ref) {
  monitor **at;
  for (at = &node->monitors; *at != NULL; at = &(*at)->next) {
    monitor *found = *at;
    size_t begin;
    edr_status status;
    if (!edr_ref_equal(&found->ref, ref)) continue;
    *at = found->next;
    edr_buf_clear(&node->frame);
    begin = edr_control_begin(&node->frame, EDR_CONTROL_DEMONITOR_P, 3);
    edr_etf_put_pid(&node->frame, &node->dialed.self);
    edr_etf_put_pid(&node->frame, &found->pid);
    edr_etf_put_ref(&node->frame, ref);
    free(found);
    status = write_frame(node, begin, edr_deadline_after(SEND_GRACE_MS));
    return fail(node, status, "taking back a monitor");
  }
  return EDR_OK;
}

edr_status edr_node_receive(edr_node *node, int64_t deadline_ms, edr_buf *message) {
  while (edr_inbox_take(&node->inbox, message) == EDR_EAGAIN) {
    const edr_status status = edr_stream_read(&node->stream, deadline_ms);
    if (status != EDR_OK && node->inbox.count == 0) return fail(node, status, "waiting for a message");
  }
  return edr_buf_status(message);
}

edr_status edr_node_pump(edr_node *node) {
  const edr_status status = edr_stream_read(&node->stream, edr_clock_now_ms());
  return status == EDR_ETIMEOUT ? EDR_OK : fail(node, status, "reading");
}

edr_status edr_node_sleep(edr_node *node, int64_t deadline_ms) {
  edr_status status = EDR_OK;
  while (status == EDR_OK && edr_clock_now_ms() < deadline_ms) status = edr_stream_read(&node->stream, deadline_ms);
  return status == EDR_ETIMEOUT ? EDR_OK : fail(node, status, "waiting");
}
