/* A connected node without a network: one end of a socket pair is ours, a thread holds the other and answers what we
 * ask as a node would, with values that the test gives. For tests of what happens above the wire: lies, and memory that
 * runs out. */
#ifndef EDR_PAIRED_NODE_H
#define EDR_PAIRED_NODE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "node.h"
#include "node_incoming.h"
#include "node_state.h"

/* Appends the value of the `number`th call, from 0 on; false: the peer hangs up. Called in the peer's thread. */
typedef bool (*paired_answer)(void *context, size_t number, edr_buf *value);

typedef struct paired_node {
  edr_node *node;
  int fd; /* the peer's end */
  pthread_t thread;
  paired_answer answer;
  void *context;
  size_t calls;
} paired_node;

static inline bool paired_contains(edr_slice slice, const char *text) {
  const size_t length = strlen(text);
  size_t i;
  for (i = 0; i + length <= slice.size; i++)
    if (memcmp(slice.data + i, text, length) == 0) return true;
  return false;
}

static inline void paired_put_name(edr_buf *buf, const char *name) {
  edr_etf_put_atom(buf, name, strlen(name));
}

/* A call's process ends with `{Ref, return, Value}`, another that we monitor with `normal`; one that is only linked is
 * spawned. */
static inline bool paired_reply(paired_node *self, const edr_control *asked, edr_buf *out) {
  const edr_slice ref = asked->elements[0];
  const edr_pid spawned = {.id = 77, .creation = 3, .node = "n@h"};
  size_t begin;
  if (!paired_contains(asked->elements[4], "monitor")) {
    begin = edr_control_begin(out, EDR_CONTROL_SPAWN_REPLY, 4);
    edr_buf_append(out, ref.data, ref.size);
    edr_etf_put_nil(out);
    edr_etf_put_int(out, 1);
    edr_etf_put_pid(out, &spawned);
    return edr_control_end(out, begin) == EDR_OK;
  }
  begin = edr_control_begin(out, EDR_CONTROL_PAYLOAD_MONITOR_P_EXIT, 3);
  edr_etf_put_nil(out);
  edr_etf_put_nil(out);
  edr_buf_append(out, ref.data, ref.size);
  edr_etf_put_version(out);
  if (paired_contains(asked->elements[3], "execute_call")) {
    edr_etf_put_tuple(out, 3);
    edr_buf_append(out, ref.data, ref.size);
    paired_put_name(out, "return");
    if (!self->answer(self->context, self->calls++, out)) return false;
  } else {
    paired_put_name(out, "normal");
  }
  return edr_control_end(out, begin) == EDR_OK;
}

static inline bool paired_serve(paired_node *self, edr_frame_reader *reader) {
  edr_control asked;
  const uint8_t *frame;
  size_t size;
  while (edr_frame_next(reader, &frame, &size) == EDR_OK) {
    edr_buf out;
    bool sent;
    if (size == 0) continue;
    if (edr_control_decode(frame, size, NULL, &asked, NULL) != EDR_OK) abort(); /* what we send must be right */
    if (asked.op != EDR_CONTROL_SPAWN_REQUEST) continue;
    edr_buf_init(&out);
    sent = paired_reply(self, &asked, &out) && send(self->fd, out.data, out.size, MSG_NOSIGNAL) == (ssize_t)out.size;
    edr_buf_deinit(&out);
    if (!sent) return false;
  }
  return true;
}

static inline void *paired_run(void *argument) {
  paired_node *self = argument;
  edr_frame_reader reader;
  bool goes_on = true;
  edr_frame_reader_init(&reader, 0);
  while (goes_on) {
    uint8_t *room = edr_frame_reader_room(&reader, 65536);
    const ssize_t got = room != NULL ? read(self->fd, room, 65536) : 0;
    if (got <= 0) break;
    edr_frame_reader_fed(&reader, (size_t)got);
    goes_on = paired_serve(self, &reader);
  }
  shutdown(self->fd, SHUT_RDWR);
  edr_frame_reader_deinit(&reader);
  return NULL;
}

/* Exits where that fails: it is no part of what is tested. */
static inline void paired_open(paired_node *self, paired_answer answer, void *context) {
  edr_node *node = calloc(1, sizeof *node);
  int pair[2];
  if (node == NULL || (node->name = malloc(4)) == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) exit(2);
  memcpy(node->name, "n@h", 4);
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  node->dialed.self = (edr_pid){.id = 1, .creation = 7, .node = "us@h"};
  node->dialed.our_flags = EDR_DFLAG_DIST_MONITOR_NAME;
  node->dialed.peer_flags = EDR_DFLAG_SPAWN | EDR_DFLAG_UNLINK_ID;
  edr_inbox_init(&node->inbox, 0);
  edr_inbox_init(&node->output, 0);
  if (edr_stream_open(&node->stream, edr_transport_tcp(pair[0]), 0, 3600000, edr_node_on_frame, node) != EDR_OK)
    exit(2);
  node->open = true;
  *self = (paired_node){.node = node, .fd = pair[1], .answer = answer, .context = context};
  if (pthread_create(&self->thread, NULL, paired_run, self) != 0) exit(2);
}

/* Every call of the node must have been freed. */
static inline void paired_close(paired_node *self) {
  edr_node_free(self->node);
  shutdown(self->fd, SHUT_RDWR);
  pthread_join(self->thread, NULL);
  close(self->fd);
}

#endif
