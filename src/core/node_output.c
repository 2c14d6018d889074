/* What called functions print; the contract is in node_output.h. */
#include "node_output.h"

#include <string.h>

#include "clock.h"
#include "node_calls.h"
#include "node_state.h"

enum { RELEASE_MS = 1000 };

/* We are the group leader of what we call. Where nobody wants to see what it prints, it is taken all the same, so that
 * it does not hang. `{io_request, From, ReplyAs, Request}` gets `{io_reply, ReplyAs, ok}`; there is nothing here to
 * read from. Source: stdlib User's Guide, "The Erlang I/O Protocol". */
edr_status edr_node_answer_io_request(edr_node *node, const edr_slice parts[4]) {
  edr_slice request[8];
  edr_pid from;
  edr_buf answer;
  edr_status status;
  size_t count;

  if (edr_slice_pid(parts[1], &from) != EDR_OK) return EDR_OK;
  count = edr_slice_elements(parts[3], request, 8);
  edr_buf_init(&answer);
  edr_etf_put_tuple(&answer, 3);
  edr_etf_put_atom(&answer, "io_reply", 8);
  edr_buf_append(&answer, parts[2].data, parts[2].size);
  if (count > 0 && (edr_slice_is_atom(request[0], "put_chars") || edr_slice_is_atom(request[0], "requests") ||
                    edr_slice_is_atom(request[0], "setopts"))) {
    edr_etf_put_atom(&answer, "ok", 2);
  } else {
    edr_etf_put_tuple(&answer, 2);
    edr_etf_put_atom(&answer, "error", 5);
    edr_etf_put_atom(&answer, "enotsup", 7);
  }
  status = edr_buf_status(&answer);
  if (status == EDR_OK) status = edr_node_queue_send(node, &from, answer.data, answer.size);
  edr_buf_deinit(&answer);
  return status;
}

/* Kept for the caller to show; what is too much is treated as where nobody does. A request of no process is none. */
edr_status edr_node_on_io_request(edr_node *node, edr_slice message, const edr_slice parts[4]) {
  const size_t dropped = node->output.dropped;
  edr_pid from;
  edr_status status = EDR_OK;
  if (!node->keeps_output) return edr_node_answer_io_request(node, parts);
  if (edr_slice_pid(parts[1], &from) == EDR_OK) status = edr_inbox_put(&node->output, message);
  return node->output.dropped == dropped ? status : edr_node_answer_io_request(node, parts);
}

edr_status edr_node_answer_unseen(edr_node *node, const edr_buf *request) {
  edr_slice parts[4];
  edr_status status = EDR_OK;
  if (edr_slice_elements((edr_slice){request->data, request->size}, parts, 4) == 4)
    status = edr_node_answer_io_request(node, parts);
  return edr_node_fail(node, edr_node_end_at_limit(node, status), "answering a request to print");
}

/* An honest node has a process for each request, and is done in no time; one that has flooded us gets a second. */
void edr_node_keep_output(edr_node *node, bool keep) {
  const int64_t deadline_ms = edr_deadline_after(RELEASE_MS);
  edr_buf request;
  node->keeps_output = keep;
  edr_buf_init(&request);
  while (!keep && edr_inbox_take(&node->output, &request) != EDR_EAGAIN) {
    if (edr_buf_status(&request) == EDR_OK && edr_clock_now_ms() < deadline_ms)
      (void)edr_node_answer_unseen(node, &request);
    edr_buf_clear(&request);
  }
  edr_buf_deinit(&request);
}

edr_status edr_node_output(edr_node *node, edr_buf *request) {
  return node->formats < EDR_MAX_FORMATS ? edr_inbox_take(&node->output, request) : EDR_EAGAIN;
}

edr_status edr_node_answer(edr_node *node, const edr_pid *to, const edr_buf *message) {
  const edr_status status = edr_node_queue_send(node, to, message->data, message->size);
  return edr_node_fail(node, edr_node_end_at_limit(node, status), "answering a request to print");
}
