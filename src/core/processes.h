/* Many processes read at once: which there are, what process_info says of each, which are suspended. Asks, and changes
 * nothing. */
#ifndef EDR_PROCESSES_H
#define EDR_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node.h"
#include "pids.h"
#include "slice.h"
#include "status.h"

/* Called for each process, in order: `info` is what erlang:process_info/2 gave, a list of one or more `{Item, Value}`,
 * each item an atom, or the atom `undefined`; nothing else gets here. Anything but EDR_OK ends the reading with that
 * status. */
typedef edr_status (*edr_processes_on_info)(void *context, size_t index, edr_slice info);

/* `erlang:process_info(Pid, Items)` of all `pids`, in slices; `items` is one term, a list of atoms. */
edr_status edr_processes_info(edr_node *node, const edr_pids *pids, const edr_buf *items, int64_t deadline_ms,
                              edr_processes_on_info on_info, void *context);

/* Whether all are processes of this node, in whichever life of it; if not, `out_other` names the node of one that is
 * not. */
bool edr_processes_owned(const edr_node *node, const edr_pids *pids, const char **out_other);

/* Every process that the node has now, in an empty set. EDR_EPROTOCOL where it gives some that are not its own. */
edr_status edr_processes_all(edr_node *node, int64_t deadline_ms, edr_pids *out_pids);

/* Which of `pids` are in sys:suspend_loop now; which hibernate, so that only sys:get_status tells whether they are
 * suspended; and which hibernate in the loop of their behaviour, so that they are not suspended (gen_server and
 * gen_statem of OTP 29: suspended, they show erlang:hibernate/3, too). The sets are appended to; all but the first may
 * be NULL. */
edr_status edr_processes_suspended(edr_node *node, const edr_pids *pids, int64_t deadline_ms, edr_pids *out_suspended,
                                   edr_pids *out_hibernating, edr_pids *out_asleep);

/* Appends one of `pids`; or those from `from` to before `to`, as one list. `gone`, of edr_node_gone_pid, stands for
 * processes of an earlier life of the node: a node does not take such pids for its own, and functions on processes
 * raise for them. */
void edr_processes_put_one(edr_buf *buf, const edr_pids *pids, size_t index, const edr_pid *gone);
void edr_processes_put(edr_buf *buf, const edr_pids *pids, size_t from, size_t to, const edr_pid *gone);

#endif
