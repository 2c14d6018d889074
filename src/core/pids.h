/* The compact pid set: a list of pids, in order, in 16 bytes each. Node names are kept once. Knows no Lua, no socket.
 */
#ifndef EDR_PIDS_H
#define EDR_PIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "etf.h"
#include "status.h"

/* Names are looked up one by one, for each pid: pids of more nodes than this are no set. A request takes those of one
 * node alone, and a caller that sorts those of a cluster has room for it. */
#define EDR_PIDS_MAX_NODES 64

typedef struct edr_pid_entry {
  uint32_t id, serial, creation, node; /* node: index into edr_pids.nodes */
} edr_pid_entry;

typedef struct edr_pids {
  edr_pid_entry *entries;
  size_t count, capacity;
  char **nodes; /* UTF-8, terminated */
  size_t node_count;
} edr_pids;

void edr_pids_init(edr_pids *pids);
void edr_pids_deinit(edr_pids *pids);

/* Room for `extra` more pids, allocated exactly. */
edr_status edr_pids_reserve(edr_pids *pids, size_t extra);
/* EDR_ENOMEM, or EDR_ELIMIT past EDR_PIDS_MAX_NODES. */
edr_status edr_pids_add(edr_pids *pids, const edr_pid *pid);
/* Adds entry `index` of `from`. */
edr_status edr_pids_add_from(edr_pids *pids, const edr_pids *from, size_t index);
void edr_pids_get(const edr_pids *pids, size_t index, edr_pid *out_pid);

/* Appends a term that is a proper list of pids. EDR_EPROTOCOL where it is not. On failure nothing was added or read. */
edr_status edr_pids_read_list(edr_pids *pids, edr_etf_reader *reader);

void edr_pids_put(edr_buf *buf, const edr_pids *pids, size_t index);

/* Order of (node name, creation, serial, id); 0 for the same process. */
int edr_pids_compare(const edr_pids *a, size_t index_a, const edr_pids *b, size_t index_b);

#endif
