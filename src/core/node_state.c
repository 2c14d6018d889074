/* How a node sends, and what it says where that fails; the contract is in node_state.h. */
#include "node_state.h"

#include <string.h>

enum { REPLY_BACKLOG = 16 * 1024 * 1024 };

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

size_t edr_node_put_send(edr_buf *buf, const edr_pid *to, const uint8_t *term, size_t size) {
  size_t begin;
  edr_buf_clear(buf);
  begin = edr_control_begin(buf, EDR_CONTROL_SEND, 2);
  edr_etf_put_name(buf, "");
  edr_etf_put_pid(buf, to);
  edr_control_payload(buf, term, size);
  return begin;
}

edr_status edr_node_queue_send(edr_node *node, const edr_pid *to, const uint8_t *term, size_t size) {
  return edr_node_queue_reply(node, edr_node_put_send(&node->reply, to, term, size));
}
