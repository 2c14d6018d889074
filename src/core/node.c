/* The connection itself: opening, closing, messages, waiting. The contract is in node.h. */
#include "node.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "node_incoming.h"
#include "node_state.h"

enum { DEFAULT_TICK_MS = 1000, SILENT_PEER_MS = 60000 };

/* ---- opening and closing ---- */

edr_status edr_node_open(const edr_node_options *options, edr_node **out_node, edr_error *error) {
  edr_node *node = calloc(1, sizeof *node);
  const unsigned int silence = SILENT_PEER_MS;
  edr_status status;

  if (node == NULL) return edr_error_set(error, EDR_ENOMEM, 0, "%s", edr_status_text(EDR_ENOMEM));
  node->name = strdup(options->dial.node);
  if (node->name == NULL) {
    free(node);
    return edr_error_set(error, EDR_ENOMEM, 0, "%s", edr_status_text(EDR_ENOMEM));
  }
  status = edr_dial(&options->dial, &node->dialed, error);
  if (status != EDR_OK) {
    free(node->name);
    free(node);
    return status;
  }
  /* Our ticks go unacknowledged when the peer vanishes without a word: that, too, is noticed. Best effort. */
  (void)setsockopt(node->dialed.transport.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof silence);
  node->rex = options->rex || (node->dialed.peer_flags & EDR_DFLAG_SPAWN) == 0 ||
              (node->dialed.our_flags & EDR_DFLAG_DIST_MONITOR_NAME) == 0;
  node->ref_words[0] = (uint32_t)edr_clock_now_us() & 0x3ffff;
  node->ref_words[1] = (uint32_t)(edr_clock_now_us() >> 18);
  edr_inbox_init(&node->inbox, options->max_mailbox);
  edr_inbox_init(&node->output, 0);
  status = edr_stream_open(&node->stream, node->dialed.transport, options->max_frame,
                           options->tick_ms > 0 ? options->tick_ms : DEFAULT_TICK_MS, edr_node_on_frame, node);
  node->open = status == EDR_OK;
  if (status != EDR_OK) {
    const int number = node->stream.broken_errno;
    edr_node_free(node);
    return edr_error_set(error, status, number, "no thread could be started to keep the connection to %s alive: %s",
                         options->dial.node, strerror(number));
  }
  *out_node = node;
  return EDR_OK;
}

void edr_node_close(edr_node *node) {
  if (!node->open) return;
  node->open = false;
  edr_stream_close(&node->stream);
  if (node->error.code == EDR_OK)
    edr_error_set(&node->error, EDR_ECLOSED, 0, "the connection to %s was closed", node->name);
}

void edr_node_free(edr_node *node) {
  if (node == NULL) return;
  edr_node_close(node);
  edr_node_drop_monitors(node);
  edr_node_orphan_calls(node);
  edr_inbox_deinit(&node->inbox);
  edr_inbox_deinit(&node->output);
  edr_buf_deinit(&node->gate_call);
  edr_buf_deinit(&node->frame);
  edr_buf_deinit(&node->reply);
  free(node->name);
  free(node);
}

const edr_error *edr_node_error(const edr_node *node) {
  return &node->error;
}
bool edr_node_is_open(const edr_node *node) {
  return node->open && node->stream.broken == EDR_OK;
}
const char *edr_node_name(const edr_node *node) {
  return node->name;
}
const edr_pid *edr_node_self(const edr_node *node) {
  return &node->dialed.self;
}
int edr_node_fd(const edr_node *node) {
  return node->stream.transport.fd;
}
size_t edr_node_dropped(const edr_node *node) {
  return node->inbox.dropped + node->output.dropped;
}
bool edr_node_wants_write(edr_node *node) {
  return (edr_stream_events(&node->stream) & POLLOUT) != 0;
}
bool edr_node_has_input(edr_node *node) {
  return node->open && (edr_stream_events(&node->stream) == 0 || edr_node_has_output(node));
}

/* ---- messages ---- */

edr_status edr_node_send(edr_node *node, const edr_pid *to, const edr_buf *message, int64_t deadline_ms) {
  const size_t begin = edr_node_put_send(&node->frame, to, message->data, message->size);
  return edr_node_fail(node, edr_node_write_frame(node, begin, 0, deadline_ms), "sending a message");
}

edr_status edr_node_send_name(edr_node *node, const char *name, const edr_buf *message, int64_t deadline_ms) {
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_REG_SEND, 3);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_name(&node->frame, "");
  edr_etf_put_name(&node->frame, name);
  edr_control_payload(&node->frame, message->data, message->size);
  return edr_node_fail(node, edr_node_write_frame(node, begin, 0, deadline_ms), "sending a message");
}

edr_status edr_node_receive(edr_node *node, int64_t deadline_ms, edr_buf *message) {
  while (edr_inbox_take(&node->inbox, message) == EDR_EAGAIN) {
    edr_status status = edr_stream_read(&node->stream, deadline_ms);
    if (node->inbox.count > 0) continue; /* also where the connection broke after it came */
    if (status == EDR_OK && edr_clock_now_ms() >= deadline_ms) status = EDR_ETIMEOUT;
    if (status != EDR_OK) return edr_node_fail(node, status, "waiting for a message");
  }
  return edr_buf_status(message);
}

edr_status edr_node_pump(edr_node *node) {
  const edr_status status = edr_stream_read(&node->stream, edr_clock_now_ms());
  return status == EDR_ETIMEOUT ? EDR_OK : edr_node_fail(node, status, "reading");
}

edr_status edr_node_sleep(edr_node *node, int64_t deadline_ms) {
  edr_status status = EDR_OK;
  while (status == EDR_OK && edr_clock_now_ms() < deadline_ms) status = edr_stream_read(&node->stream, deadline_ms);
  return status == EDR_ETIMEOUT ? EDR_OK : edr_node_fail(node, status, "waiting");
}
