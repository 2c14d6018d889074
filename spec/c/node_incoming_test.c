/* What arrives, frame by frame, without a network: whom it is for. */
#include "node_incoming.h"

#include "check.h"
#include "paired_node.h"

static bool never(void *context, size_t number, edr_buf *value) {
  (void)context, (void)number, (void)value;
  return false;
}

typedef enum receiver { A_PID, A_NAME, NOBODY } receiver;

/* `{2, '', To}` or `{22, From, To}`, and the atom `mail`; the status of it. */
static edr_status send_to(edr_node *node, edr_control_op op, receiver kind, const edr_pid *to) {
  edr_buf frame;
  edr_status status;
  size_t begin;
  edr_buf_init(&frame);
  begin = edr_control_begin(&frame, op, kind == NOBODY ? 1 : 2);
  edr_etf_put_name(&frame, "");
  if (kind == A_PID) edr_etf_put_pid(&frame, to);
  if (kind == A_NAME) edr_etf_put_name(&frame, "us");
  edr_etf_put_version(&frame);
  edr_etf_put_name(&frame, "mail");
  CHECK(edr_control_end(&frame, begin) == EDR_OK);
  status = edr_node_on_frame(node, frame.data + 4, frame.size - 4);
  edr_buf_deinit(&frame);
  return status;
}

static void test_receiver(edr_node *node) {
  const edr_control_op ops[] = {EDR_CONTROL_SEND, EDR_CONTROL_SEND_SENDER};
  size_t i, expected = 0;
  for (i = 0; i < 2; i++) {
    edr_pid to = *edr_node_self(node);
    CHECK(send_to(node, ops[i], A_PID, &to) == EDR_OK && node->inbox.count == ++expected);
    to.id++;
    CHECK(send_to(node, ops[i], A_PID, &to) == EDR_OK && node->inbox.count == expected);
    to = *edr_node_self(node);
    to.creation++; /* of another life of ours */
    CHECK(send_to(node, ops[i], A_PID, &to) == EDR_OK && node->inbox.count == expected);
    CHECK(send_to(node, ops[i], A_NAME, &to) == EDR_OK && node->inbox.count == expected);
    CHECK(send_to(node, ops[i], NOBODY, &to) == EDR_EPROTOCOL && node->inbox.count == expected);
  }
}

int main(void) {
  paired_node pair;
  paired_open(&pair, never, NULL);
  test_receiver(pair.node);
  paired_close(&pair);
  return check_done();
}
