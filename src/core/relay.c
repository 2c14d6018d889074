/* The relay; the contract is in relay.h, the idea in docs/performance.md. */
#include "relay.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "processes.h"

enum {
  SEND_SLICE = 5000, /* requests in one frame: small enough to pipeline, and so few that asking the gate for each costs
                        little: it takes 0.2 ms of the node */
  STEP_MS = 30000,   /* for one step that is no wait for answers: sending, fetching */
  PIDS_A_MS = 10,    /* all steps together: STEP_MS past the deadline, and a millisecond for so many processes */
  MAILBOX_GRACE_MS = 600000, /* a mailbox that could not be killed ends by itself, so long after its deadline */
  FIRST_POLL_MS = 1,
  LONGEST_POLL_MS = 50,
  STALL_MS = 20, /* no new answer for so long: ask who of the silent ones is dead */
  LONGEST_STALL_MS = 1000,
  END_MS = 5000 /* for what hands requests out to be dead, where it is given up */
};

/* ---- building arguments ---- */

/* The arguments of `lists:zipwith(fun erlang:send/2, Pids, [{system, {Mailbox, I}, Request}, ...])`: the tag of a sys
 * request may be any term, so the answer {I, ok} names its process. */
static void put_requests(edr_buf *buf, const edr_pids *pids, size_t from, size_t to, const edr_pid *gone,
                         const edr_pid *mailbox, edr_slice request) {
  edr_buf head;
  size_t i;

  /* What every message shares is encoded once. */
  edr_buf_init(&head);
  edr_etf_put_tuple(&head, 3);
  edr_etf_put_name(&head, "system");
  edr_etf_put_tuple(&head, 2);
  edr_etf_put_pid(&head, mailbox);

  edr_etf_put_list(buf, 3);
  edr_etf_put_export(buf, "erlang", "send", 2);
  edr_processes_put(buf, pids, NULL, from, to, gone);
  edr_etf_put_list(buf, to - from);
  for (i = from; i < to; i++) {
    edr_buf_append(buf, head.data, head.size);
    edr_etf_put_int(buf, (int64_t)i);
    edr_buf_append(buf, request.data, request.size);
  }
  edr_etf_put_nil(buf);
  edr_etf_put_nil(buf);
  if (head.failed) buf->failed = true;
  edr_buf_deinit(&head);
}

/* ---- one relay ---- */

typedef struct request_run {
  edr_node *node;
  const edr_pids *pids;
  edr_pid mailbox, gone;
  edr_relay_result *result;
  int64_t deadline_ms; /* for the processes' answers */
  int64_t end_ms;      /* for all of it */
  size_t dead;         /* how many were found dead */
  size_t settled;      /* how many are dead or have an answer that was fetched */
} request_run;

static int64_t step_deadline(const request_run *run) {
  const int64_t deadline_ms = edr_deadline_after(STEP_MS);
  return deadline_ms < run->end_ms ? deadline_ms : run->end_ms;
}

/* A process that sleeps, linked to us, until it is killed. */
static edr_status spawn_mailbox(request_run *run) {
  const int64_t now_ms = edr_clock_now_ms(), longest_ms = UINT32_MAX; /* that `timer:sleep` takes */
  const int64_t left_ms = run->deadline_ms > now_ms ? run->deadline_ms - now_ms : 0;
  edr_buf arguments;
  edr_status status;
  edr_buf_init(&arguments);
  edr_etf_put_list(&arguments, 1);
  if (left_ms > longest_ms - MAILBOX_GRACE_MS) {
    edr_etf_put_name(&arguments, "infinity");
  } else {
    edr_etf_put_int(&arguments, left_ms + MAILBOX_GRACE_MS);
  }
  edr_etf_put_nil(&arguments);
  status = edr_buf_status(&arguments);
  if (status == EDR_OK)
    status = edr_node_spawn_linked(run->node, "timer", "sleep", &arguments, step_deadline(run), &run->mailbox);
  edr_buf_deinit(&arguments);
  return status;
}

static edr_status send_slice(request_run *run, edr_slice request, size_t from, edr_buf *arguments,
                             edr_call **out_call) {
  const size_t left = run->pids->count - from;
  edr_status status;
  edr_buf_clear(arguments);
  put_requests(arguments, run->pids, from, from + (left < SEND_SLICE ? left : SEND_SLICE), &run->gone, &run->mailbox,
               request);
  status = edr_buf_status(arguments);
  if (status != EDR_OK) return status;
  run->result->sent = true;
  return edr_node_run(run->node, "lists", "zipwith", arguments, step_deadline(run), out_call);
}

/* Sends all requests, and waits until the node has handed out every one of them, or, where that fails, will never hand
 * out another: else, on a node that is short of time, a resume that is asked for later could overtake a suspend, which
 * would then never be undone. What hands them out dies with a connection that is lost. */
static edr_status send_requests(request_run *run, edr_slice request) {
  const size_t slices = (run->pids->count + SEND_SLICE - 1) / SEND_SLICE;
  edr_call **calls = calloc(slices, sizeof(edr_call *));
  edr_buf arguments;
  edr_status status = calls == NULL ? EDR_ENOMEM : EDR_OK;
  size_t i;

  edr_buf_init(&arguments);
  for (i = 0; i < slices && status == EDR_OK; i++)
    status = send_slice(run, request, i * SEND_SLICE, &arguments, &calls[i]);
  edr_buf_deinit(&arguments);
  for (i = 0; i < slices && status == EDR_OK; i++) {
    status = edr_node_await(run->node, calls[i], step_deadline(run));
    if (status == EDR_OK && edr_call_outcome(calls[i]) != EDR_OUTCOME_RETURN)
      status = edr_call_was_fenced(calls[i])    ? EDR_EFENCED
               : edr_call_had_no_room(calls[i]) ? EDR_ENOROOM
                                                : EDR_EPROTOCOL;
  }
  if (status != EDR_OK) (void)edr_node_end_acts(run->node, edr_deadline_after(END_MS));
  for (i = 0; calls != NULL && i < slices; i++) edr_call_free(calls[i]);
  free(calls);
  return status;
}

/* `erlang:process_info(Mailbox, Item)`; the caller frees the call. */
static edr_status ask_mailbox(request_run *run, const char *item, edr_call **out_call) {
  edr_buf arguments;
  edr_status status;
  edr_buf_init(&arguments);
  edr_etf_put_list(&arguments, 2);
  edr_etf_put_pid(&arguments, &run->mailbox);
  edr_etf_put_name(&arguments, item);
  edr_etf_put_nil(&arguments);
  status = edr_buf_status(&arguments);
  if (status == EDR_OK)
    status = edr_node_call_await(run->node, "erlang", "process_info", &arguments, step_deadline(run), out_call);
  edr_buf_deinit(&arguments);
  return status;
}

static edr_status count_answers(request_run *run, size_t *out_count) {
  edr_call *call = NULL;
  edr_etf_reader reader;
  edr_slice value;
  int64_t count = 0;
  size_t arity;
  edr_status status = ask_mailbox(run, "message_queue_len", &call);
  if (status != EDR_OK) return status;
  value = edr_call_value(call);
  edr_etf_reader_init(&reader, value.data, value.size, NULL);
  status = edr_etf_read_tuple(&reader, &arity);
  if (status == EDR_OK) status = edr_etf_read_this_atom(&reader, "message_queue_len");
  if (status == EDR_OK) status = edr_etf_read_int(&reader, &count);
  if (status == EDR_OK && count < 0) status = EDR_EPROTOCOL;
  edr_etf_reader_deinit(&reader);
  edr_call_free(call);
  if (status == EDR_OK) *out_count = (size_t)count;
  return status;
}

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

/* What stands behind the index of an answer. */
static edr_status read_outcome(edr_relay_result *result, size_t index, edr_etf_reader *reader, bool first) {
  const size_t from = reader->offset;
  edr_status status;
  if (edr_etf_read_this_atom(reader, "ok") == EDR_OK) {
    if (first) result->answers[index] = EDR_ANSWER_OK;
    return EDR_OK;
  }
  status = edr_etf_skip(reader);
  if (status != EDR_OK || !first) return status;
  result->answers[index] = EDR_ANSWER_ERROR;
  return keep_reason(result, index, reader->data + from, reader->offset - from);
}

/* Reads one message of the mailbox. Only `{I, Answer}` is an answer; anything else in there is passed over. */
static edr_status read_answer(request_run *run, edr_etf_reader *reader) {
  const edr_etf_mark before = edr_etf_reader_mark(reader);
  edr_status status;
  size_t arity;
  int64_t index;

  if (edr_etf_read_tuple(reader, &arity) == EDR_OK && arity == 2 && edr_etf_read_int(reader, &index) == EDR_OK &&
      index >= 0 && (uint64_t)index < run->pids->count) {
    const bool first = run->result->answers[index] == EDR_ANSWER_TIMEOUT;
    if (first) run->settled++;
    status = read_outcome(run->result, (size_t)index, reader, first);
    return status == EDR_OK ? edr_etf_read_end(reader) : status;
  }
  edr_etf_reader_rewind(reader, &before);
  return edr_etf_skip(reader);
}

/* `{messages, [Message, ...]}`. */
static edr_status fetch_answers(request_run *run) {
  edr_call *call = NULL;
  edr_etf_reader reader;
  edr_etf_token token;
  edr_slice value;
  size_t arity, i;
  edr_status status = ask_mailbox(run, "messages", &call);
  if (status != EDR_OK) return status;
  value = edr_call_value(call);
  edr_etf_reader_init(&reader, value.data, value.size, NULL);
  status = edr_etf_read_tuple(&reader, &arity);
  if (status == EDR_OK) status = edr_etf_read_this_atom(&reader, "messages");
  if (status == EDR_OK) status = edr_etf_next(&reader, &token);
  if (status == EDR_OK && token.kind == EDR_ETF_LIST) {
    for (i = 0; i < token.count && status == EDR_OK; i++) status = read_answer(run, &reader);
  }
  edr_etf_reader_deinit(&reader);
  edr_call_free(call);
  return status;
}

/* Marks those of the silent ones that are dead. One that can't be asked about within the deadline stays silent. */
static edr_status mark_dead(request_run *run) {
  edr_pids const *pids = run->pids;
  edr_buf arguments;
  edr_call *call = NULL;
  edr_etf_reader reader;
  edr_etf_token token;
  edr_slice value;
  edr_status status;
  size_t *missing, count = 0, i;

  if (run->settled == pids->count) return EDR_OK;
  missing = malloc((pids->count - run->settled) * sizeof *missing);
  if (missing == NULL) return EDR_ENOMEM;
  for (i = 0; i < pids->count; i++) {
    if (run->result->answers[i] == EDR_ANSWER_TIMEOUT) missing[count++] = i;
  }
  edr_buf_init(&arguments);
  edr_etf_put_list(&arguments, 2);
  edr_etf_put_export(&arguments, "erlang", "is_process_alive", 1);
  edr_processes_put(&arguments, pids, missing, 0, count, &run->gone);
  edr_etf_put_nil(&arguments);
  status = edr_buf_status(&arguments);
  /* A process that is stuck in native code holds up the answer for everybody: one second, then they all stay silent. */
  if (status == EDR_OK)
    status = edr_node_call_await(run->node, "lists", "map", &arguments, edr_deadline_after(1000), &call);
  edr_buf_deinit(&arguments);
  if (status == EDR_OK) {
    value = edr_call_value(call);
    edr_etf_reader_init(&reader, value.data, value.size, NULL);
    status = edr_etf_next(&reader, &token);
    if (status == EDR_OK && (token.kind != EDR_ETF_LIST || token.count != count)) status = EDR_EPROTOCOL;
    for (i = 0; i < count && status == EDR_OK; i++) {
      if (edr_etf_read_this_atom(&reader, "true") == EDR_OK) continue;
      status = edr_etf_read_this_atom(&reader, "false");
      if (status == EDR_OK) {
        run->result->answers[missing[i]] = EDR_ANSWER_NOPROC;
        run->dead++;
        run->settled++;
      }
    }
    edr_etf_reader_deinit(&reader);
    edr_call_free(call);
  } else if (status == EDR_ETIMEOUT) {
    status = EDR_OK;
  }
  free(missing);
  return status;
}

/* Waits until everybody has answered or died, or the deadline came. A mailbox that no longer grows may be waiting for
 * the dead: then, and ever more rarely, its answers are fetched and the silent ones are asked about. */
static edr_status collect(request_run *run) {
  const size_t wanted = run->pids->count;
  size_t seen = 0, count = 0;
  int64_t poll_ms = FIRST_POLL_MS, stall_ms = STALL_MS, grew_ms = edr_clock_now_ms();
  edr_status status;

  for (;;) {
    const int64_t now_ms = edr_clock_now_ms();
    const bool late = now_ms >= run->deadline_ms;
    if ((status = count_answers(run, &count)) != EDR_OK) return status;
    if (count > seen) {
      seen = count;
      grew_ms = now_ms;
      poll_ms = FIRST_POLL_MS;
    }
    if (late || seen + run->dead >= wanted || now_ms - grew_ms >= stall_ms) {
      if ((status = fetch_answers(run)) != EDR_OK) return status;
      if ((status = mark_dead(run)) != EDR_OK) return status;
      if (late || run->settled == wanted) return EDR_OK;
      grew_ms = now_ms;
      if (stall_ms < LONGEST_STALL_MS) stall_ms *= 2;
    }
    status = edr_node_sleep(run->node, run->deadline_ms - now_ms < poll_ms ? run->deadline_ms : now_ms + poll_ms);
    if (status != EDR_OK) return status;
    if (poll_ms < LONGEST_POLL_MS) poll_ms *= 2;
  }
}

edr_status edr_relay_ask(edr_node *node, const edr_pids *pids, edr_slice request, int64_t deadline_ms,
                         edr_relay_result *out_result) {
  request_run run = {.node = node, .pids = pids, .result = out_result, .deadline_ms = deadline_ms};
  const int64_t grace_ms = STEP_MS + (int64_t)(pids->count / PIDS_A_MS);
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

  status = edr_node_gone_pid(node, step_deadline(&run), &run.gone);
  if (status == EDR_OK) status = spawn_mailbox(&run);
  if (status != EDR_OK) return status;
  status = send_requests(&run, request);
  if (status == EDR_OK) status = collect(&run);
  (void)edr_node_kill(node, &run.mailbox);
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
