/* The relay; the contract is in relay.h, the idea in docs/performance.md. */
#include "relay.h"

#include <stdlib.h>
#include <string.h>

#include "ask_rest_form.h"
#include "ask_slice_form.h"
#include "clock.h"
#include "processes.h"
#include "slice.h"

enum {
  SLICE = 2500,     /* processes that one process of ours asks: few enough that not all are ready to run at once */
  IN_FLIGHT = 4,    /* slices, so that the node always has one to work on */
  PATIENCE_MS = 10, /* a slice waits no longer for those before it: one of those may be of silent processes */
  STEP_MS = 30000,  /* for the node to do what is no wait for answers */
  PIDS_A_MS = 10,   /* all of it: STEP_MS past the deadline, and a millisecond for so many processes */
  LONGEST_WAIT_MS = 0x7fffffff,
  END_MS = 5000 /* for what hands requests out to be dead, where it is given up */
};

typedef struct slice {
  edr_call *call;
  size_t from, to;
} slice;

typedef struct request_run {
  edr_node *node;
  const edr_pids *pids;
  edr_slice request;
  edr_pid gone;
  edr_relay_result *result;
  int64_t deadline_ms; /* for the processes' answers */
  int64_t end_ms;      /* for all of it */
  size_t asked;        /* slices of which something may have reached the node */
} request_run;

/* ---- asking ---- */

static void put_binding(edr_buf *buf, const char *name) {
  edr_etf_put_tuple(buf, 2);
  edr_etf_put_name(buf, name);
}

/* The arguments of `erl_eval:expr(Block, Bindings, none, none, value)`. */
static void put_slice(edr_buf *buf, const request_run *run, const slice *part) {
  const int64_t now_ms = edr_clock_now_ms();
  const int64_t left_ms = run->deadline_ms > now_ms ? run->deadline_ms - now_ms : 0;
  edr_etf_put_list(buf, 5);
  edr_buf_append(buf, ask_slice_form + 1, sizeof ask_slice_form - 1); /* without its version byte */
  edr_etf_put_list(buf, 6);
  put_binding(buf, "First");
  edr_etf_put_int(buf, (int64_t)part->from);
  put_binding(buf, "Last");
  edr_processes_put_one(buf, run->pids, part->to - 1, &run->gone);
  put_binding(buf, "Others");
  edr_processes_put(buf, run->pids, part->from, part->to - 1, &run->gone);
  put_binding(buf, "Rest");
  edr_etf_put_binary(buf, ask_rest_form, sizeof ask_rest_form);
  put_binding(buf, "Wait");
  edr_etf_put_int(buf, left_ms < LONGEST_WAIT_MS ? left_ms : LONGEST_WAIT_MS);
  put_binding(buf, "What");
  edr_buf_append(buf, run->request.data, run->request.size);
  edr_etf_put_nil(buf);
  edr_etf_put_name(buf, "none");
  edr_etf_put_name(buf, "none");
  edr_etf_put_name(buf, "value");
  edr_etf_put_nil(buf);
}

static edr_status ask_slice(request_run *run, slice *part) {
  edr_buf arguments;
  edr_status status;
  edr_buf_init(&arguments);
  put_slice(&arguments, run, part);
  status = edr_buf_status(&arguments);
  if (status == EDR_OK) {
    if (edr_node_is_open(run->node)) run->asked++;
    status = edr_node_act(run->node, "erl_eval", "expr", &arguments, run->end_ms, &part->call);
  }
  edr_buf_deinit(&arguments);
  return status;
}

/* ---- reading what came of it ---- */

/* Remembers what a process answered, while there is room for it. */
static edr_status keep_reason(edr_relay_result *result, size_t index, const uint8_t *data, size_t size) {
  edr_relay_reason *reasons;
  if (size > EDR_RELAY_MAX_REASONS - result->terms.size) return EDR_OK;
  if ((result->reason_count & (result->reason_count + 1)) == 0) { /* full at 0, 1, 3, 7, ... */
    reasons = realloc(result->reasons, (result->reason_count * 2 + 1) * sizeof *reasons);
    if (reasons == NULL) return EDR_ENOMEM;
    result->reasons = reasons;
  }
  result->reasons[result->reason_count] = (edr_relay_reason){.index = index, .from = result->terms.size, .size = size};
  edr_buf_append(&result->terms, data, size);
  if (edr_buf_status(&result->terms) != EDR_OK) return EDR_ENOMEM;
  result->reason_count++;
  return EDR_OK;
}

/* The number of a process, of this slice. */
static edr_status read_number(const slice *part, edr_etf_reader *reader, size_t *out_index) {
  int64_t number = 0;
  const edr_status status = edr_etf_read_int(reader, &number);
  if (status != EDR_OK) return status;
  if (number < 0 || (uint64_t)number < part->from || (uint64_t)number >= part->to) return EDR_EPROTOCOL;
  *out_index = (size_t)number;
  return EDR_OK;
}

/* `{I, Answer}`; of a process that has answered more than once only the first counts. */
static edr_status read_refused(edr_relay_result *result, const slice *part, edr_etf_reader *reader) {
  size_t arity = 0, index, begin;
  edr_status status = edr_etf_read_tuple(reader, &arity);
  if (status == EDR_OK && arity != 2) status = EDR_EPROTOCOL;
  if (status == EDR_OK) status = read_number(part, reader, &index);
  if (status != EDR_OK) return status;
  begin = reader->offset;
  status = edr_etf_skip(reader);
  if (status != EDR_OK) return status;
  if (result->answers[index] == EDR_ANSWER_OK) {
    result->answers[index] = EDR_ANSWER_ERROR;
    status = keep_reason(result, index, reader->data + begin, reader->offset - begin);
  }
  return status == EDR_OK ? edr_etf_read_end(reader) : status;
}

/* `{I, ...}` */
static edr_status read_numbers(edr_relay_result *result, const slice *part, edr_etf_reader *reader, edr_answer answer) {
  size_t arity = 0, index, i;
  edr_status status = edr_etf_read_tuple(reader, &arity);
  for (i = 0; status == EDR_OK && i < arity; i++) {
    status = read_number(part, reader, &index);
    if (status == EDR_OK) result->answers[index] = (uint8_t)answer;
  }
  return status == EDR_OK ? edr_etf_read_end(reader) : status;
}

/* `{Refused, Dead, Silent}`: all others have answered ok. */
static edr_status read_slice(edr_relay_result *result, const slice *part) {
  const edr_slice value = edr_call_value(part->call);
  edr_etf_reader reader;
  size_t arity = 0, i;
  edr_status status;

  memset(result->answers + part->from, EDR_ANSWER_OK, part->to - part->from);
  edr_etf_reader_init(&reader, value.data, value.size, &edr_slice_limits);
  status = edr_etf_read_tuple(&reader, &arity);
  if (status == EDR_OK && arity != 3) status = EDR_EPROTOCOL;
  if (status == EDR_OK) status = edr_etf_read_tuple(&reader, &arity);
  for (i = 0; status == EDR_OK && i < arity; i++) status = read_refused(result, part, &reader);
  if (status == EDR_OK) status = edr_etf_read_end(&reader);
  if (status == EDR_OK) status = read_numbers(result, part, &reader, EDR_ANSWER_NOPROC);
  if (status == EDR_OK) status = read_numbers(result, part, &reader, EDR_ANSWER_TIMEOUT);
  edr_etf_reader_deinit(&reader);
  return status;
}

/* Nothing of it was done, where the node had no room for it or the gate was shut. */
static bool was_refused(const edr_call *call) {
  return edr_call_has_ended(call) && (edr_call_was_fenced(call) || edr_call_had_no_room(call));
}

static edr_status end_slice(request_run *run, slice *part) {
  edr_status status = EDR_OK;
  if (edr_call_outcome(part->call) != EDR_OUTCOME_RETURN)
    status = edr_call_was_fenced(part->call)    ? EDR_EFENCED
             : edr_call_had_no_room(part->call) ? EDR_ENOROOM
                                                : EDR_EPROTOCOL;
  if (status == EDR_OK) status = read_slice(run->result, part);
  if (was_refused(part->call)) run->asked--;
  edr_call_free(part->call);
  part->call = NULL;
  return status;
}

/* ---- one request ---- */

/* Has all slices asked, and waits until each has ended by itself. Where that fails, none will hand out another request:
 * else, on a node that is short of time, a resume that is asked for later could overtake a suspend, which would then
 * never be undone. What hands them out dies with a connection that is lost. */
static edr_status ask_all(request_run *run, slice *slices, size_t count) {
  size_t first = 0, next = 0; /* in flight: from `first` to `next` */
  int64_t patient_until_ms = 0;
  edr_status status = EDR_OK;

  while (status == EDR_OK && first < count) {
    const int64_t now_ms = edr_clock_now_ms();
    if (next < count && (next - first < IN_FLIGHT || now_ms >= patient_until_ms)) {
      status = ask_slice(run, &slices[next++]);
      patient_until_ms = now_ms + PATIENCE_MS;
    } else if (slices[first].call == NULL || edr_call_has_ended(slices[first].call)) {
      status = end_slice(run, &slices[first++]);
    } else {
      const bool patient = next < count && patient_until_ms < run->end_ms;
      status = edr_node_await(run->node, slices[first].call, patient ? patient_until_ms : run->end_ms);
      if (status == EDR_ETIMEOUT && patient) status = EDR_OK;
    }
  }
  if (status != EDR_OK) (void)edr_node_end_acts(run->node, edr_deadline_after(END_MS));
  for (; first < next; first++) {
    if (slices[first].call != NULL && was_refused(slices[first].call)) run->asked--;
    edr_call_free(slices[first].call);
  }
  run->result->sent = run->asked > 0;
  return status;
}

edr_status edr_relay_ask(edr_node *node, const edr_pids *pids, edr_slice request, int64_t deadline_ms,
                         edr_relay_result *out_result) {
  request_run run = {.node = node, .pids = pids, .request = request, .result = out_result, .deadline_ms = deadline_ms};
  const size_t count = (pids->count + SLICE - 1) / SLICE;
  const int64_t grace_ms = STEP_MS + (int64_t)(pids->count / PIDS_A_MS);
  int64_t step_ms;
  slice *slices;
  edr_status status;
  size_t i;

  run.end_ms = deadline_ms < EDR_NEVER - grace_ms ? deadline_ms + grace_ms : EDR_NEVER;
  memset(out_result, 0, sizeof *out_result);
  edr_buf_init(&out_result->terms);
  if (pids->count == 0) return EDR_OK;
  out_result->answers = malloc(pids->count);
  if (out_result->answers == NULL) return EDR_ENOMEM;
  out_result->count = pids->count;
  memset(out_result->answers, EDR_ANSWER_TIMEOUT, pids->count);

  slices = calloc(count, sizeof *slices);
  if (slices == NULL) return EDR_ENOMEM;
  for (i = 0; i < count; i++) {
    slices[i].from = i * SLICE;
    slices[i].to = i + 1 < count ? slices[i].from + SLICE : pids->count;
  }
  step_ms = edr_deadline_after(STEP_MS);
  status = edr_node_gone_pid(node, step_ms < run.end_ms ? step_ms : run.end_ms, &run.gone);
  if (status == EDR_OK) status = ask_all(&run, slices, count);
  free(slices);
  for (i = 0; i < pids->count; i++) {
    if (out_result->answers[i] != EDR_ANSWER_OK) out_result->failed++;
  }
  return status;
}

edr_status edr_relay_sys(edr_node *node, const edr_pids *pids, const char *request, int64_t deadline_ms,
                         edr_relay_result *out_result) {
  edr_buf term;
  edr_status status;
  memset(out_result, 0, sizeof *out_result);
  edr_buf_init(&term);
  edr_etf_put_name(&term, request);
  status = edr_buf_status(&term);
  if (status == EDR_OK)
    status = edr_relay_ask(node, pids, (edr_slice){.data = term.data, .size = term.size}, deadline_ms, out_result);
  edr_buf_deinit(&term);
  return status;
}

void edr_relay_result_deinit(edr_relay_result *result) {
  free(result->answers);
  free(result->reasons);
  edr_buf_deinit(&result->terms);
  memset(result, 0, sizeof *result);
}
