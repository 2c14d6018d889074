/* The connection itself: opening, closing, sending, waiting; messages and monitors. The contract is in node.h. */
#include "node.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "node_parts.h"

enum { DEFAULT_TICK_MS = 1000, SILENT_PEER_MS = 60000, RELEASE_MS = 1000, REPLY_BACKLOG = 16 * 1024 * 1024 };

/* ---- what is sent ---- */

edr_status edr_node_fail(edr_node *node, edr_status status, const char *doing) {
  if (status == EDR_OK) return status;
  if (status == EDR_ENODEDOWN && node->stream.broken == status) {
    const char *why = edr_stream_reason(&node->stream);
    if (why[0] == '\0' && node->stream.broken_errno != 0) why = strerror(node->stream.broken_errno);
    return edr_error_set(&node->error, status, node->stream.broken_errno, "the connection to %s was lost while %s%s%s",
                         node->name, doing, why[0] != '\0' ? ": " : "", why);
  }
  /* What was wrong with a frame has been said where it was read; but not of one that was too long to be read. */
  if (node->error.code == status && node->stream.broken == status && (status == EDR_EPROTOCOL || status == EDR_ELIMIT))
    return status;
  if (status == EDR_ELIMIT && node->stream.broken == status)
    return edr_error_set(&node->error, status, 0,
                         "%s sends a frame of more than %zu bytes, the limit (max_frame), while %s", node->name,
                         node->stream.reader.max, doing);
  return edr_error_set(&node->error, status, 0, "%s, while %s on %s", edr_status_text(status), doing, node->name);
}

void edr_node_next_ref(edr_node *node, edr_ref *out_ref) {
  memset(out_ref, 0, sizeof *out_ref);
  out_ref->creation = node->dialed.self.creation;
  out_ref->word_count = 3;
  memcpy(out_ref->words, node->ref_words, sizeof node->ref_words);
  memcpy(out_ref->node, node->dialed.self.node, sizeof out_ref->node);
  /* Only 18 bits of the first word count on the wire. */
  node->ref_words[0] = (node->ref_words[0] + 1) & 0x3ffff;
  if (node->ref_words[0] == 0 && ++node->ref_words[1] == 0) ++node->ref_words[2];
}

edr_status edr_node_write_frame(edr_node *node, size_t begin, size_t rest, int64_t deadline_ms) {
  edr_status status = edr_control_end(&node->frame, begin);
  if (status == EDR_OK) status = edr_stream_write(&node->stream, node->frame.data, node->frame.size, rest, deadline_ms);
  if (node->frame.capacity > ((size_t)1 << 20)) edr_buf_deinit(&node->frame);
  return status;
}

/* A node that is gone, too, is found by reading: what it said before it went comes first. */
edr_status edr_node_queue_reply(edr_node *node, size_t begin) {
  edr_status status = edr_control_end(&node->reply, begin);
  if (status == EDR_OK) status = edr_node_owe(node);
  if (status == EDR_OK) status = edr_stream_queue(&node->stream, node->reply.data, node->reply.size);
  return status == EDR_ENODEDOWN ? EDR_OK : status;
}

edr_status edr_node_owe(edr_node *node) {
  return edr_stream_queued(&node->stream) > REPLY_BACKLOG ? EDR_ELIMIT : EDR_OK;
}

edr_status edr_node_end_at_limit(edr_node *node, edr_status status) {
  if (status != EDR_ELIMIT || node->stream.broken != EDR_OK) return status;
  edr_error_set(&node->error, status, 0, "%s asks more than it takes answers", node->name);
  return edr_stream_break(&node->stream, status);
}

void edr_node_put_name(edr_buf *buf, const char *name) {
  edr_etf_put_atom(buf, name, strlen(name));
}

edr_status edr_node_queue_send(edr_node *node, const edr_pid *to, const uint8_t *term, size_t size) {
  size_t begin;
  edr_buf_clear(&node->reply);
  begin = edr_control_begin(&node->reply, EDR_CONTROL_SEND, 2);
  edr_node_put_name(&node->reply, "");
  edr_etf_put_pid(&node->reply, to);
  edr_control_payload(&node->reply, term, size);
  return edr_node_queue_reply(node, begin);
}

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
  while (node->monitors != NULL) {
    edr_monitor **root = node->monitors;
    free(edr_node_take_monitor(node, &(*root)->ref));
  }
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
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_SEND, 2);
  edr_node_put_name(&node->frame, "");
  edr_etf_put_pid(&node->frame, to);
  edr_control_payload(&node->frame, message->data, message->size);
  return edr_node_fail(node, edr_node_write_frame(node, begin, 0, deadline_ms), "sending a message");
}

edr_status edr_node_send_name(edr_node *node, const char *name, const edr_buf *message, int64_t deadline_ms) {
  size_t begin;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_REG_SEND, 3);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_node_put_name(&node->frame, "");
  edr_node_put_name(&node->frame, name);
  edr_control_payload(&node->frame, message->data, message->size);
  return edr_node_fail(node, edr_node_write_frame(node, begin, 0, deadline_ms), "sending a message");
}

static int compare_refs(const void *a, const void *b) {
  const edr_ref *one = a, *other = b;
  int order;
  if (one->word_count != other->word_count) return one->word_count < other->word_count ? -1 : 1;
  if ((order = memcmp(one->words, other->words, one->word_count * sizeof *one->words)) != 0) return order;
  if (one->creation != other->creation) return one->creation < other->creation ? -1 : 1;
  return strcmp(one->node, other->node);
}

const edr_monitor *edr_node_find_monitor(const edr_node *node, const edr_ref *ref) {
  edr_monitor *const *found = tfind(ref, &node->monitors, compare_refs);
  return found != NULL ? *found : NULL;
}

edr_monitor *edr_node_take_monitor(edr_node *node, const edr_ref *ref) {
  edr_monitor **found = tfind(ref, &node->monitors, compare_refs);
  edr_monitor *taken = found != NULL ? *found : NULL;
  if (taken != NULL) tdelete(ref, &node->monitors, compare_refs);
  return taken;
}

edr_status edr_node_monitor(edr_node *node, const edr_pid *pid, edr_ref *out_ref) {
  edr_monitor *made;
  edr_status status;
  size_t begin;

  if ((node->dialed.our_flags & EDR_DFLAG_DIST_MONITOR_NAME) == 0)
    return edr_node_fail(node, EDR_ENOTSUP, "monitoring a process");
  made = calloc(1, sizeof *made);
  if (made == NULL) return edr_node_fail(node, EDR_ENOMEM, "monitoring a process");
  edr_node_next_ref(node, &made->ref);
  made->pid = *pid;
  if (tsearch(made, &node->monitors, compare_refs) == NULL) {
    free(made);
    return edr_node_fail(node, EDR_ENOMEM, "monitoring a process");
  }
  *out_ref = made->ref;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_MONITOR_P, 3);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_pid(&node->frame, pid);
  edr_etf_put_ref(&node->frame, out_ref);
  status = edr_node_write_frame(node, begin, 0, edr_deadline_after(EDR_SEND_GRACE_MS));
  return edr_node_fail(node, status, "monitoring a process"); /* it stays listed: the request may still go out */
}

edr_status edr_node_demonitor(edr_node *node, const edr_ref *ref) {
  edr_monitor *taken = edr_node_take_monitor(node, ref);
  edr_status status;
  size_t begin;

  if (taken == NULL) return EDR_OK;
  edr_buf_clear(&node->frame);
  begin = edr_control_begin(&node->frame, EDR_CONTROL_DEMONITOR_P, 3);
  edr_etf_put_pid(&node->frame, &node->dialed.self);
  edr_etf_put_pid(&node->frame, &taken->pid);
  edr_etf_put_ref(&node->frame, ref);
  free(taken);
  status = edr_node_write_frame(node, begin, 0, edr_deadline_after(EDR_SEND_GRACE_MS));
  return edr_node_fail(node, status, "taking back a monitor");
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

edr_status edr_node_pump(edr_node *node) {
  const edr_status status = edr_stream_read(&node->stream, edr_clock_now_ms());
  return status == EDR_ETIMEOUT ? EDR_OK : edr_node_fail(node, status, "reading");
}

edr_status edr_node_sleep(edr_node *node, int64_t deadline_ms) {
  edr_status status = EDR_OK;
  while (status == EDR_OK && edr_clock_now_ms() < deadline_ms) status = edr_stream_read(&node->stream, deadline_ms);
  return status == EDR_ETIMEOUT ? EDR_OK : edr_node_fail(node, status, "waiting");
}
