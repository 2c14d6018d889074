/* Processes of the node that we monitor. The part of node.h for callers, and what node_incoming needs. */
#ifndef EDR_NODE_MONITORS_H
#define EDR_NODE_MONITORS_H

#include "etf.h"
#include "status.h"

typedef struct edr_node edr_node;

/* Monitors a process: `{'DOWN', Ref, process, Pid, Reason}` will be among the messages. EDR_ENOTSUP where the node did
 * not take our DIST_MONITOR_NAME. */
edr_status edr_node_monitor(edr_node *node, const edr_pid *pid, edr_ref *out_ref);
edr_status edr_node_demonitor(edr_node *node, const edr_ref *ref);

/* ---- inside the node ---- */

/* A monitor of ours: the node wants to be told the process again when it ends. */
typedef struct edr_monitor {
  edr_ref ref; /* first: a reference is looked up as it stands */
  edr_pid pid;
} edr_monitor;

/* The monitor of this reference, or NULL. One that is taken out is the caller's to free. */
const edr_monitor *edr_node_find_monitor(const edr_node *node, const edr_ref *ref);
edr_monitor *edr_node_take_monitor(edr_node *node, const edr_ref *ref);

/* The node goes: all of them are freed. */
void edr_node_drop_monitors(edr_node *node);

#endif
