/* Monitors: a tree by reference, tsearch(3); the contract is in node_monitors.h. */
#define _XOPEN_SOURCE 700 /* tsearch */
#include "node_monitors.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "node_state.h"

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

void edr_node_drop_monitors(edr_node *node) {
  while (node->monitors != NULL) {
    edr_monitor **root = node->monitors;
    free(edr_node_take_monitor(node, &(*root)->ref));
  }
}
