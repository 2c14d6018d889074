/* Calls, casts and spawns; the contract is in node_calls.h. */
#include "node_calls.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "node_state.h"

enum { CALL_BACKLOG = 4 * 1024 * 1024 }; /* bytes of calls that may wait to be sent while more are made */

/* What is asked for beside the process itself. */
typedef enum spawn_kind { SPAWN_ALONE, SPAWN_MONITORED, SPAWN_ACT } spawn_kind; /* an act is linked, too */

static void put_spawn_options(edr_buf *buf, spawn_kind kind) {
  if (kind != SPAWN_ALONE) edr_etf_put_list(buf, kind == SPAWN_MONITORED ? 1 : 2);
  if (kind != SPAWN_ALONE) edr_etf_put_name(buf, "monitor");
  if (kind == SPAWN_ACT) edr_etf_put_name(buf, "link");
  edr_etf_put_nil(buf);
}

/* `{29, ReqId, From, GroupLeader, {M, F, A}, Options}` and the argument list. */
static edr_status write_spawn(edr_node *node, const edr_ref *ref, const char *module, const char *function,
                              uint8_t arity, const edr_buf *arguments, spawn_kind kind, size_t rest,
                              int64_t deadline_ms) {
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_SPAWN_REQUEST, 5);
  edr_etf_put_ref(&node->frame, ref);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_tuple(&node->frame, 3);
  edr_etf_put_name(&node->frame, module);
  edr_etf_put_name(&node->frame, function);
  edr_etf_put_int(&node->frame, arity);
  put_spawn_options(&node->frame, kind);
  edr_control_payload(&node->frame, arguments->data, arguments->size);
  return edr_node_write_frame(node, begin, rest, deadline_ms);
}

/* `{'$gen_call', {Self, Ref}, {call, M, F, A, Self}}` or `{'$gen_cast', {cast, M, F, A, Self}}` to `rex`. */
static edr_status write_rex(edr_node *node, const edr_ref *ref, const char *module, const char *function,
                            const edr_buf *arguments, size_t rest, int64_t deadline_ms) {
  size_t begin;
  edr_buf *frame = &node->frame;
  edr_buf_clear(frame);
  begin = edr_control_begin(frame, EDR_CONTROL_REG_SEND, 3);
  edr_etf_put_pid(frame, &node->dialed.self);
  edr_etf_put_name(frame, "");
  edr_etf_put_name(frame, "rex");
  edr_etf_put_version(frame);
  edr_etf_put_tuple(frame, ref != NULL ? 3 : 2);
  edr_etf_put_name(frame, ref != NULL ? "$gen_call" : "$gen_cast");
  if (ref != NULL) {
    edr_etf_put_tuple(frame, 2);
    edr_etf_put_pid(frame, &node->dialed.self);
    edr_etf_put_ref(frame, ref);
  }
  edr_etf_put_tuple(frame, 5);
  edr_etf_put_name(frame, ref != NULL ? "call" : "cast");
  edr_etf_put_name(frame, module);
  edr_etf_put_name(frame, function);
  edr_buf_append(frame, arguments->data, arguments->size);
  edr_etf_put_pid(frame, &node->dialed.self);
  return edr_node_write_frame(node, begin, rest, deadline_ms);
}

/* How many arguments these are: EDR_EBADARG for more than a function can have. */
static edr_status count_arguments(const edr_buf *arguments, uint8_t *out_arity) {
  edr_etf_reader reader;
  edr_etf_token token;
  size_t arity = 0;
  edr_status status;

  edr_etf_reader_init(&reader, arguments->data, arguments->size, NULL);
  status = edr_etf_next(&reader, &token);
  if (status == EDR_OK && token.kind == EDR_ETF_LIST) arity = token.count;
  if (status == EDR_OK && token.kind == EDR_ETF_STRING) arity = token.size;
  edr_etf_reader_deinit(&reader);
  if (status != EDR_OK || arity > UINT8_MAX) return EDR_EBADARG;
  *out_arity = (uint8_t)arity;
  return EDR_OK;
}

/* A call of ours that is not sent yet, among those of the node: the answer may come while it is being written. */
static edr_call *new_call(edr_node *node) {
  edr_call *call = calloc(1, sizeof *call);
  if (call == NULL) return NULL;
  edr_buf_init(&call->bytes);
  edr_node_next_ref(node, &call->ref);
  call->node = node;
  call->next = node->calls;
  node->calls = call;
  return call;
}

static void free_call(edr_call *call) {
  if (call->node != NULL) {
    edr_call **at = &call->node->calls;
    while (*at != call) at = &(*at)->next;
    *at = call->next;
    if (call->formats) call->node->formats--;
  }
  edr_buf_deinit(&call->bytes);
  free(call);
}

bool edr_call_has_ended(const edr_call *call) {
  return call->outcome != EDR_OUTCOME_PENDING || call->unreadable != EDR_OK;
}

static bool has_ended(const edr_call *call) {
  return call != NULL && edr_call_has_ended(call);
}

/* A call could not be handed to the network; where only the wait for that ended, it stays queued and is made. */
static edr_status not_sent(edr_node *node, edr_call *call, edr_status status, const char *doing) {
  if (call->is_act && (status == EDR_ETIMEOUT || status == EDR_EINTERRUPTED)) {
    edr_call_free(call);
  } else {
    free_call(call);
  }
  (void)edr_node_fail(node, status, doing);
  return status;
}

/* ---- the gate ---- */

edr_status edr_node_fence(edr_node *node, const edr_pid *gate, const edr_buf *request) {
  edr_buf *call = &node->gate_call;
  edr_buf_clear(call);
  if (gate == NULL) return EDR_OK;
  node->gate = *gate;
  edr_etf_put_list(call, 3);
  edr_etf_put_pid(call, gate);
  edr_buf_append(call, request->data, request->size);
  edr_etf_put_name(call, "infinity");
  edr_etf_put_nil(call);
  return edr_buf_status(call);
}

/* `lists:zipwith3(fun erlang:apply/3, [gen_server, Module], [call, Function], [Gate, Arguments])`: one after the other,
 * in compiled functions alone. */
static void put_fenced(const edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                       edr_buf *out) {
  edr_etf_put_list(out, 4);
  edr_etf_put_export(out, "erlang", "apply", 3);
  edr_etf_put_list(out, 2);
  edr_etf_put_name(out, "gen_server");
  edr_etf_put_name(out, module);
  edr_etf_put_nil(out);
  edr_etf_put_list(out, 2);
  edr_etf_put_name(out, "call");
  edr_etf_put_name(out, function);
  edr_etf_put_nil(out);
  edr_etf_put_list(out, 2);
  edr_buf_append(out, node->gate_call.data, node->gate_call.size);
  edr_buf_append(out, arguments->data, arguments->size);
  edr_etf_put_nil(out);
  edr_etf_put_nil(out);
}

/* The exit of a call to the gate: `{Why, {gen_server, call, [Gate | _]}}`. */
bool edr_call_was_fenced(const edr_call *call) {
  edr_etf_reader reader;
  edr_etf_token token;
  edr_pid gate;
  size_t arity = 0, call_arity = 0;
  bool is;
  if (!call->fenced || call->outcome != EDR_OUTCOME_EXIT || call->node == NULL) return false;
  edr_etf_reader_init(&reader, call->value.data, call->value.size, NULL);
  is = edr_etf_read_tuple(&reader, &arity) == EDR_OK && arity == 2 && edr_etf_skip(&reader) == EDR_OK &&
       edr_etf_read_tuple(&reader, &call_arity) == EDR_OK && call_arity == 3 &&
       edr_etf_read_this_atom(&reader, "gen_server") == EDR_OK && edr_etf_read_this_atom(&reader, "call") == EDR_OK &&
       edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_LIST &&
       edr_etf_read_pid(&reader, &gate) == EDR_OK && edr_pid_equal(&gate, &call->node->gate);
  edr_etf_reader_deinit(&reader);
  return is;
}

bool edr_call_had_no_room(const edr_call *call) {
  return call->outcome == EDR_OUTCOME_ERROR && edr_slice_is_atom(call->value, "system_limit");
}

static edr_status send_by_erpc(edr_node *node, const edr_ref *ref, const char *module, const char *function,
                               const edr_buf *arguments, spawn_kind kind, size_t rest, int64_t deadline_ms) {
  edr_buf all;
  edr_status status;
  edr_buf_init(&all);
  edr_etf_put_list(&all, 4);
  edr_etf_put_ref(&all, ref);
  edr_etf_put_name(&all, module);
  edr_etf_put_name(&all, function);
  edr_buf_append(&all, arguments->data, arguments->size);
  edr_etf_put_nil(&all);
  status = edr_buf_status(&all);
  if (status == EDR_OK) status = write_spawn(node, ref, "erpc", "execute_call", 4, &all, kind, rest, deadline_ms);
  edr_buf_deinit(&all);
  return status;
}

/* A call that is sent until no more than `rest` bytes of it, and of what is queued before it, are left. */
static edr_status start_call(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                             bool is_act, size_t rest, int64_t deadline_ms, edr_call **out_call) {
  edr_call *call = new_call(node);
  edr_status status;

  if (call == NULL) {
    (void)edr_node_fail(node, EDR_ENOMEM, "starting a call");
    return EDR_ENOMEM;
  }
  call->is_act = is_act;
  status = node->rex ? write_rex(node, &call->ref, module, function, arguments, rest, deadline_ms)
                     : send_by_erpc(node, &call->ref, module, function, arguments, is_act ? SPAWN_ACT : SPAWN_MONITORED,
                                    rest, deadline_ms);
  if (status != EDR_OK) return not_sent(node, call, status, "starting a call");
  *out_call = call;
  return EDR_OK;
}

edr_status edr_node_call(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                         int64_t deadline_ms, edr_call **out_call) {
  return start_call(node, module, function, arguments, false, CALL_BACKLOG, deadline_ms, out_call);
}

/* Through the gate where there is one. */
edr_status edr_node_act(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                        int64_t deadline_ms, edr_call **out_call) {
  edr_buf fenced;
  edr_status status;
  if (node->gate_call.size == 0)
    return start_call(node, module, function, arguments, true, CALL_BACKLOG, deadline_ms, out_call);
  edr_buf_init(&fenced);
  put_fenced(node, module, function, arguments, &fenced);
  status = edr_buf_status(&fenced);
  if (status == EDR_OK)
    status = start_call(node, "lists", "zipwith3", &fenced, true, CALL_BACKLOG, deadline_ms, out_call);
  edr_buf_deinit(&fenced);
  if (status == EDR_OK) (*out_call)->fenced = true;
  return status;
}

edr_status edr_node_format(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                           edr_call **out_call) {
  edr_status status = edr_node_end_at_limit(node, edr_node_owe(node));
  if (status != EDR_OK) return edr_node_fail(node, status, "starting a call");
  status = start_call(node, module, function, arguments, false, SIZE_MAX, edr_clock_now_ms(), out_call);
  if (status != EDR_OK) return status;
  (*out_call)->formats = true;
  node->formats++;
  return EDR_OK;
}

bool edr_node_has_output(const edr_node *node) {
  const edr_call *call;
  if (node->formats < EDR_MAX_FORMATS && node->output.count > 0) return true;
  for (call = node->formats > 0 ? node->calls : NULL; call != NULL; call = call->next) {
    if (call->formats && has_ended(call)) return true;
  }
  return false;
}

/* Until the call, if there is one, has ended; or, where output counts, that can be gone on with: EDR_EAGAIN. */
static edr_status await(edr_node *node, const edr_call *call, bool output_counts, int64_t deadline_ms) {
  while (!has_ended(call)) {
    edr_status status;
    if (output_counts && edr_node_has_output(node)) return EDR_EAGAIN;
    status = edr_stream_read(&node->stream, deadline_ms);
    if (has_ended(call)) break; /* the answer came before the connection broke */
    if (status == EDR_OK && edr_clock_now_ms() >= deadline_ms) status = EDR_ETIMEOUT;
    if (status != EDR_OK)
      return edr_node_fail(node, status, call != NULL ? "waiting for the answer to a call" : "waiting");
  }
  if (call->unreadable == EDR_OK) return EDR_OK;
  return edr_error_set(&node->error, call->unreadable, 0, "the answer to a call on %s is too deep or too large: %s",
                       node->name, edr_status_text(call->unreadable));
}

edr_status edr_node_await(edr_node *node, edr_call *call, int64_t deadline_ms) {
  return await(node, call, false, deadline_ms);
}

edr_status edr_node_await_output(edr_node *node, edr_call *call, int64_t deadline_ms) {
  return await(node, call, true, deadline_ms);
}

edr_outcome edr_call_outcome(const edr_call *call) {
  return call->outcome;
}
edr_slice edr_call_value(const edr_call *call) {
  return call->value;
}

void edr_call_free(edr_call *call) {
  if (call == NULL) return;
  if (call->node != NULL && call->is_act && !has_ended(call)) {
    call->orphan = true;
  } else {
    free_call(call);
  }
}

void edr_node_orphan_calls(edr_node *node) {
  edr_call *call, *next;
  for (call = node->calls; call != NULL; call = next) {
    next = call->next;
    if (call->orphan) {
      free_call(call);
    } else {
      call->node = NULL;
    }
  }
  node->calls = NULL;
}

/* ---- what node_incoming sees of calls ---- */

edr_call *edr_node_find_call(edr_node *node, const edr_ref *ref) {
  edr_call *call;
  for (call = node->calls; call != NULL; call = call->next) {
    if (call->outcome == EDR_OUTCOME_PENDING && call->unreadable == EDR_OK && edr_ref_equal(&call->ref, ref))
      return call;
  }
  return NULL;
}

/* What came through the gate returns `[ok, Value]`: the value of it. */
static edr_slice behind_gate(edr_slice value) {
  edr_etf_reader reader;
  edr_etf_token token;
  size_t begin;
  edr_etf_reader_init(&reader, value.data, value.size, &edr_slice_limits);
  if (edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_LIST && token.count == 2 &&
      edr_etf_skip(&reader) == EDR_OK) {
    begin = reader.offset;
    if (edr_etf_skip(&reader) == EDR_OK) value = (edr_slice){value.data + begin, reader.offset - begin};
  }
  edr_etf_reader_deinit(&reader);
  return value;
}

edr_status edr_call_end(edr_call *call, edr_outcome outcome, edr_slice value) {
  if (call->fenced && outcome == EDR_OUTCOME_RETURN) value = behind_gate(value);
  edr_buf_clear(&call->bytes);
  edr_buf_append(&call->bytes, value.data, value.size);
  if (edr_buf_status(&call->bytes) != EDR_OK) return EDR_ENOMEM;
  call->value.data = call->bytes.data;
  call->value.size = call->bytes.size;
  call->outcome = outcome;
  return EDR_OK;
}

/* ---- ending acts ---- */

edr_status edr_node_act_began(edr_node *node, edr_call *call, const edr_pid *process) {
  call->process = *process;
  call->process_known = true;
  return call->ending ? edr_node_kill(node, process) : EDR_OK;
}

/* Has each act in flight end, and tells whether there is one. Those that have ended and are nobody's are freed. */
static bool end_acts(edr_node *node) {
  edr_call *call, *next;
  bool any = false;
  for (call = node->calls; call != NULL; call = next) {
    next = call->next;
    if (has_ended(call)) {
      if (call->orphan) free_call(call);
    } else if (call->is_act) {
      if (!call->ending && call->process_known) (void)edr_node_kill(node, &call->process);
      call->ending = any = true;
    }
  }
  return any;
}

edr_status edr_node_end_acts(edr_node *node, int64_t deadline_ms) {
  while (end_acts(node)) {
    const edr_status status = edr_stream_read(&node->stream, deadline_ms);
    if (status != EDR_OK && status != EDR_EINTERRUPTED) return status;
    if (edr_clock_now_ms() >= deadline_ms && end_acts(node)) return EDR_ETIMEOUT;
  }
  return EDR_OK;
}

edr_status edr_node_call_await(edr_node *node, const char *module, const char *function, const edr_buf *arguments,
                               int64_t deadline_ms, edr_call **out_call) {
  edr_call *call = NULL;
  edr_status status = edr_node_call(node, module, function, arguments, deadline_ms, &call);
  if (status != EDR_OK) return status;
  status = edr_node_await(node, call, deadline_ms);
  if (status == EDR_OK && call->outcome != EDR_OUTCOME_RETURN) {
    status = edr_call_had_no_room(call) ? EDR_ENOROOM : EDR_EPROTOCOL;
    status = edr_error_set(&node->error, status, 0, "%s:%s failed on %s%s%s", module, function, node->name,
                           status == EDR_ENOROOM ? ": " : "", status == EDR_ENOROOM ? edr_status_text(status) : "");
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
  edr_ref ref;
  uint8_t arity = 0;
  edr_status status;

  if (node->rex)
    return edr_node_fail(node, write_rex(node, NULL, module, function, arguments, 0, deadline_ms), "casting");
  status = count_arguments(arguments, &arity);
  if (status != EDR_OK) return edr_node_fail(node, status, "casting");
  edr_node_next_ref(node, &ref);
  status = write_spawn(node, &ref, module, function, arity, arguments, SPAWN_ALONE, 0, deadline_ms);
  return edr_node_fail(node, status, "casting");
}

edr_status edr_node_kill(edr_node *node, const edr_pid *pid) {
  size_t begin;
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_EXIT2, 3);
  edr_etf_put_pid(&node->reply, &node->dialed.self);
  edr_etf_put_pid(&node->reply, pid);
  edr_etf_put_name(&node->reply, "kill");
  return edr_node_queue_reply(node, begin);
}

edr_status edr_node_gone_pid(edr_node *node, int64_t deadline_ms, edr_pid *out_pid) {
  edr_buf none;
  edr_call *call = NULL;
  edr_status status = EDR_OK;

  if (!node->gone_known) {
    edr_buf_init(&none);
    edr_etf_put_nil(&none);
    status = edr_buf_status(&none);
    /* What runs a call is gone as soon as the answer is here. */
    if (status == EDR_OK) status = edr_node_call_await(node, "erlang", "self", &none, deadline_ms, &call);
    edr_buf_deinit(&none);
    if (status != EDR_OK) return status;
    status = edr_slice_pid(call->value, &node->gone);
    edr_call_free(call);
    if (status != EDR_OK) return edr_node_fail(node, status, "asking for a pid");
    node->gone_known = true;
  }
  *out_pid = node->gone;
  return EDR_OK;
}
