/* A connection of ours to a node of the C tests. */
#ifndef EDR_OPEN_NODE_H
#define EDR_OPEN_NODE_H

#include "clock.h"
#include "erlang_node.h"
#include "node.h"

/* Ends the test where there is none to be had. */
static inline edr_node *test_open_node(const erlang_process *process, uint16_t epmd_port, bool rex) {
  edr_node_options options;
  edr_node *node = NULL;
  edr_error error = {0};
  memset(&options, 0, sizeof options);
  options.dial.node = process->name;
  options.dial.cookie = ERLANG_TEST_COOKIE;
  options.dial.epmd_port = epmd_port;
  options.dial.deadline_ms = edr_deadline_after(5000);
  options.rex = rex;
  if (edr_node_open(&options, &node, &error) != EDR_OK) {
    fprintf(stderr, "%s\n", error.text);
    exit(2);
  }
  return node;
}

#endif
