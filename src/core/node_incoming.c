/* What arrives from a node: answers to calls, ends of monitored processes, mail, and what the distribution wants
 * answered. Runs while frames are read: it queues, and never waits. Slices point into the frame: what is kept is
 * copied. */
#include "node_incoming.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "node_calls.h"
#include "node_monitors.h"
#include "node_output.h"
#include "node_state.h"

/* The process of a call has ended. Its reason is `{Ref, return, Value}`, `{Ref, throw|exit, Reason}` or
 * `{Ref, error, Reason, Stack}`; anything else killed it from outside. Source: erpc:execute_call/4. */
static edr_status on_call_ended(edr_call *call, edr_slice reason) {
  edr_slice parts[4];
  edr_ref ref;
  const size_t count = edr_slice_elements(reason, parts, 4);
  if (count >= 3 && edr_slice_ref(parts[0], &ref) == EDR_OK && edr_ref_equal(&ref, &call->ref)) {
    if (edr_slice_is_atom(parts[1], "return")) return edr_call_end(call, EDR_OUTCOME_RETURN, parts[2]);
    if (edr_slice_is_atom(parts[1], "throw")) return edr_call_end(call, EDR_OUTCOME_THROW, parts[2]);
    if (edr_slice_is_atom(parts[1], "exit")) return edr_call_end(call, EDR_OUTCOME_EXIT, parts[2]);
    if (edr_slice_is_atom(parts[1], "error")) return edr_call_end(call, EDR_OUTCOME_ERROR, parts[2]);
  }
  return edr_call_end(call, EDR_OUTCOME_EXIT, reason);
}

static edr_status on_monitor_exit(edr_node *node, const edr_control *control, edr_slice reason) {
  edr_ref ref;
  edr_call *call;
  edr_monitor *taken;
  edr_status status;

  if (reason.data == NULL || edr_slice_ref(control->elements[2], &ref) != EDR_OK) return EDR_EPROTOCOL;
  if ((call = edr_node_find_call(node, &ref)) != NULL) return on_call_ended(call, reason);
  if ((taken = edr_node_take_monitor(node, &ref)) == NULL) return EDR_OK; /* of a call that was given up */
  status = edr_inbox_put_down(&node->inbox, &taken->ref, &taken->pid, reason);
  free(taken);
  return status;
}

/* `{31, ReqId, To, Flags, PidOrError}`. */
static edr_status on_spawn_reply(edr_node *node, const edr_control *control) {
  edr_ref ref;
  edr_pid pid;
  edr_call *call;
  if (edr_slice_ref(control->elements[0], &ref) != EDR_OK) return EDR_EPROTOCOL;
  call = edr_node_find_call(node, &ref);
  if (edr_slice_pid(control->elements[3], &pid) != EDR_OK)
    return call != NULL ? edr_call_end(call, EDR_OUTCOME_ERROR, control->elements[3]) : EDR_OK;
  return call != NULL ? edr_node_act_began(node, call, &pid) : EDR_OK;
}

/* `net_kernel` of ours is asked `{'$gen_call', {Pid, Tag}, {is_auth, _}}` by net_adm:ping: `{Tag, yes}`. Every other
 * name is not registered here. */
static edr_status on_reg_send(edr_node *node, const edr_control *control) {
  edr_slice call[3] = {{0}}, from[2] = {{0}}, request[2] = {{0}};
  edr_pid pid;
  edr_buf answer;
  edr_status status;

  if (!edr_slice_is_atom(control->elements[2], "net_kernel") || control->payload.data == NULL) return EDR_OK;
  if (edr_slice_elements(control->payload, call, 3) != 3 || !edr_slice_is_atom(call[0], "$gen_call")) return EDR_OK;
  if (edr_slice_elements(call[1], from, 2) != 2 || edr_slice_pid(from[0], &pid) != EDR_OK) return EDR_OK;
  if (edr_slice_elements(call[2], request, 2) != 2 || !edr_slice_is_atom(request[0], "is_auth")) return EDR_OK;
  edr_buf_init(&answer);
  edr_etf_put_tuple(&answer, 2);
  edr_buf_append(&answer, from[1].data, from[1].size);
  edr_etf_put_atom(&answer, "yes", 3);
  status = edr_buf_status(&answer);
  if (status == EDR_OK) status = edr_node_queue_send(node, &pid, answer.data, answer.size);
  edr_buf_deinit(&answer);
  return status;
}

/* Whether this must be the reference of a call through `rex` that was given up. Those of monitors are given out: a
 * process that was handed one may well answer with it. */
static bool is_given_up(const edr_node *node, const edr_ref *ref) {
  return node->rex && ref->creation == node->dialed.self.creation && strcmp(ref->node, node->dialed.self.node) == 0 &&
         edr_node_find_monitor(node, ref) == NULL;
}

/* We are one process; what is sent to another one is for nobody here. */
static bool is_for_us(const edr_node *node, const edr_control *control) {
  edr_pid to;
  if (control->op != EDR_CONTROL_SEND && control->op != EDR_CONTROL_SEND_SENDER) return true;
  if (control->count != 2) return false;
  return edr_slice_pid(control->elements[1], &to) == EDR_OK && edr_pid_equal(&to, &node->dialed.self);
}

/* A message to us: an answer of `rex` to a call, something printed, or mail. */
static edr_status on_message(edr_node *node, const edr_control *control) {
  edr_slice parts[4] = {{0}}, badrpc[2] = {{0}}, exit_reason[2] = {{0}};
  edr_ref ref;
  edr_call *call;
  size_t count;

  if (control->payload.data == NULL) return EDR_EPROTOCOL;
  if (!is_for_us(node, control)) return EDR_OK;
  count = edr_slice_elements(control->payload, parts, 4);
  if (count == 4 && edr_slice_is_atom(parts[0], "io_request"))
    return edr_node_on_io_request(node, control->payload, parts);
  if (count == 2 && edr_slice_ref(parts[0], &ref) == EDR_OK) {
    call = edr_node_find_call(node, &ref);
    if (call == NULL) return is_given_up(node, &ref) ? EDR_OK : edr_inbox_put(&node->inbox, control->payload);
    if (edr_slice_elements(parts[1], badrpc, 2) == 2 && edr_slice_is_atom(badrpc[0], "badrpc")) {
      if (edr_slice_elements(badrpc[1], exit_reason, 2) == 2 && edr_slice_is_atom(exit_reason[0], "EXIT"))
        return edr_call_end(call, EDR_OUTCOME_EXIT, exit_reason[1]);
      return edr_call_end(call, EDR_OUTCOME_EXIT, badrpc[1]);
    }
    return edr_call_end(call, EDR_OUTCOME_RETURN, parts[1]);
  }
  return edr_inbox_put(&node->inbox, control->payload);
}

/* We ourselves may be monitored, as a group leader is by processes that print; when we go, the connection goes. Nobody
 * else is here: `{21, To, From, Ref, noproc}`. */
static edr_status on_monitor(edr_node *node, const edr_control *control) {
  size_t begin;
  edr_pid to;
  if (edr_slice_pid(control->elements[1], &to) == EDR_OK && edr_pid_equal(&to, &node->dialed.self)) return EDR_OK;
  if (edr_slice_is_atom(control->elements[1], "net_kernel")) return EDR_OK; /* answers pings: see on_reg_send */
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_MONITOR_P_EXIT, 4);
  edr_buf_append(&node->reply, control->elements[1].data, control->elements[1].size);
  edr_buf_append(&node->reply, control->elements[0].data, control->elements[0].size);
  edr_buf_append(&node->reply, control->elements[2].data, control->elements[2].size);
  edr_etf_put_atom(&node->reply, "noproc", 6);
  return edr_node_queue_reply(node, begin);
}

/* `{35, Id, From, To}` wants `{36, Id, To, From}`. */
static edr_status on_unlink(edr_node *node, const edr_control *control) {
  size_t begin;
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_UNLINK_ID_ACK, 3);
  edr_buf_append(&node->reply, control->elements[0].data, control->elements[0].size);
  edr_buf_append(&node->reply, control->elements[2].data, control->elements[2].size);
  edr_buf_append(&node->reply, control->elements[1].data, control->elements[1].size);
  return edr_node_queue_reply(node, begin);
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

/* An answer, a reason or a message that is too deep or too large for us. The frame is whole, so the connection lives
 * on. */
static edr_status on_too_large(edr_node *node, const edr_control *control) {
  static const uint8_t too_large[] = {119, 9, 't', 'o', 'o', '_', 'l', 'a', 'r', 'g', 'e'}; /* SMALL_ATOM_UTF8_EXT */
  edr_slice parts[4] = {{0}};
  edr_etf_reader reader;
  edr_ref ref;
  edr_call *call = NULL;
  size_t arity;

  if (!is_for_us(node, control)) return EDR_OK;
  if (control->op == EDR_CONTROL_MONITOR_P_EXIT || control->op == EDR_CONTROL_PAYLOAD_MONITOR_P_EXIT) {
    if (control->count < 3 || edr_slice_ref(control->elements[2], &ref) != EDR_OK) return EDR_EPROTOCOL;
    call = edr_node_find_call(node, &ref);
    if (call == NULL) return on_monitor_exit(node, control, (edr_slice){too_large, sizeof too_large});
  } else if (control->payload.data != NULL) { /* perhaps `{Ref, Answer}` of rex */
    edr_etf_reader_init(&reader, control->payload.data, control->payload.size, &edr_slice_limits);
    if (edr_etf_read_tuple(&reader, &arity) == EDR_OK && edr_etf_read_ref(&reader, &ref) == EDR_OK)
      call = edr_node_find_call(node, &ref);
    edr_etf_reader_deinit(&reader);
  }
  if (call != NULL) {
    call->unreadable = EDR_ELIMIT;
    return EDR_OK;
  }
  node->inbox.dropped++;
  /* The process that prints it waits for an answer. What makes it so large stands last, and need not be read. */
  if (control->payload.data != NULL && edr_slice_elements(control->payload, parts, 4) == 4 &&
      edr_slice_is_atom(parts[0], "io_request"))
    return edr_node_answer_io_request(node, parts);
  return EDR_OK;
}

edr_status edr_node_on_frame(void *context, const uint8_t *frame, size_t size) {
  edr_node *node = context;
  edr_control control;
  const char *problem = "";
  edr_status status = edr_control_decode(frame, size, &edr_slice_limits, &control, &problem);
  if (status == EDR_OK) {
    status = control.too_large ? on_too_large(node, &control) : dispatch(node, &control);
    problem = status == EDR_ELIMIT ? "it asks more than it takes answers" : "its terms are not those of its operation";
  }
  if (status == EDR_EPROTOCOL || status == EDR_ELIMIT) {
    edr_error_set(&node->error, status, 0, "%s sent a frame of %zu bytes that cannot be dealt with: %s", node->name,
                  size, problem);
  }
  return status;
}
