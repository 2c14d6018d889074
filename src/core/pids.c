#include "pids.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define SMALLEST_PID 12 /* bytes of a PID_EXT whose node has the empty name: 1 + 2 + 4 + 4 + 1 */

void edr_pids_init(edr_pids *pids) {
  memset(pids, 0, sizeof *pids);
}

static void drop_nodes(edr_pids *pids, size_t keep) {
  while (pids->node_count > keep) free(pids->nodes[--pids->node_count]);
}

void edr_pids_deinit(edr_pids *pids) {
  drop_nodes(pids, 0);
  free(pids->nodes);
  free(pids->entries);
  edr_pids_init(pids);
}

static edr_status resize(edr_pids *pids, size_t capacity) {
  edr_pid_entry *entries;

  if (capacity > SIZE_MAX / sizeof *entries) return EDR_ENOMEM;
  entries = realloc(pids->entries, capacity * sizeof *entries);
  if (entries == NULL) return EDR_ENOMEM;
  pids->entries = entries;
  pids->capacity = capacity;
  return EDR_OK;
}

edr_status edr_pids_reserve(edr_pids *pids, size_t extra) {
  if (extra <= pids->capacity - pids->count) return EDR_OK;
  if (extra > SIZE_MAX - pids->count) return EDR_ENOMEM;
  return resize(pids, pids->count + extra);
}

static edr_status add_node(edr_pids *pids, const char *name) {
  size_t size = strlen(name) + 1;
  char **nodes;
  char *copy;

  if (pids->node_count >= EDR_PIDS_MAX_NODES) return EDR_ELIMIT;
  nodes = realloc(pids->nodes, (pids->node_count + 1) * sizeof *nodes);
  if (nodes == NULL) return EDR_ENOMEM;
  pids->nodes = nodes;
  copy = malloc(size);
  if (copy == NULL) return EDR_ENOMEM;
  memcpy(copy, name, size);
  pids->nodes[pids->node_count++] = copy;
  return EDR_OK;
}

/* The index of a node's name, which is kept from now on. Most often it is that of the last pid. */
static edr_status node_index(edr_pids *pids, const char *name, uint32_t *out_index) {
  edr_status status;

  if (pids->count > 0) {
    uint32_t last = pids->entries[pids->count - 1].node;
    if (strcmp(pids->nodes[last], name) == 0) {
      *out_index = last;
      return EDR_OK;
    }
  }
  for (size_t i = 0; i < pids->node_count; i++)
    if (strcmp(pids->nodes[i], name) == 0) {
      *out_index = (uint32_t)i;
      return EDR_OK;
    }
  status = add_node(pids, name);
  if (status == EDR_OK) *out_index = (uint32_t)(pids->node_count - 1);
  return status;
}

edr_status edr_pids_add(edr_pids *pids, const edr_pid *pid) {
  edr_status status = EDR_OK;
  uint32_t node;

  if (pids->count == pids->capacity) {
    if (pids->capacity > SIZE_MAX / 2) return EDR_ENOMEM;
    status = resize(pids, pids->capacity == 0 ? 16 : pids->capacity * 2);
  }
  if (status == EDR_OK) status = node_index(pids, pid->node, &node);
  if (status != EDR_OK) return status;
  pids->entries[pids->count++] =
      (edr_pid_entry){.id = pid->id, .serial = pid->serial, .creation = pid->creation, .node = node};
  return EDR_OK;
}

void edr_pids_get(const edr_pids *pids, size_t index, edr_pid *out_pid) {
  const edr_pid_entry *entry = &pids->entries[index];
  const char *node = pids->nodes[entry->node];

  out_pid->id = entry->id;
  out_pid->serial = entry->serial;
  out_pid->creation = entry->creation;
  memcpy(out_pid->node, node, strlen(node) + 1);
}

edr_status edr_pids_add_from(edr_pids *pids, const edr_pids *from, size_t index) {
  edr_pid pid;
  edr_pids_get(from, index, &pid);
  return edr_pids_add(pids, &pid);
}

/* The elements, tail and end of a list whose header has been read. */
static edr_status read_elements(edr_pids *pids, edr_etf_reader *reader, size_t count) {
  edr_etf_token tail;
  edr_status status;
  edr_pid pid;

  if (count > (reader->size - reader->offset) / SMALLEST_PID)
    return EDR_EPROTOCOL; /* before memory is taken for them */
  status = edr_pids_reserve(pids, count);
  for (size_t i = 0; status == EDR_OK && i < count; i++) {
    status = edr_etf_read_pid(reader, &pid);
    if (status == EDR_OK) status = edr_pids_add(pids, &pid);
  }
  if (status == EDR_OK) status = edr_etf_next(reader, &tail);
  if (status == EDR_OK && tail.kind != EDR_ETF_NIL) status = EDR_EPROTOCOL;
  return status == EDR_OK ? edr_etf_read_end(reader) : status;
}

edr_status edr_pids_read_list(edr_pids *pids, edr_etf_reader *reader) {
  edr_etf_mark before = edr_etf_reader_mark(reader);
  size_t count = pids->count, node_count = pids->node_count;
  edr_etf_token token;
  edr_status status = edr_etf_next(reader, &token);

  if (status == EDR_OK && token.kind == EDR_ETF_LIST)
    status = read_elements(pids, reader, token.count);
  else if (status == EDR_OK && token.kind != EDR_ETF_NIL)
    status = EDR_EPROTOCOL;
  if (status != EDR_OK) {
    edr_etf_reader_rewind(reader, &before);
    drop_nodes(pids, node_count);
    pids->count = count;
  }
  return status;
}

void edr_pids_put(edr_buf *buf, const edr_pids *pids, size_t index) {
  edr_pid pid;
  edr_pids_get(pids, index, &pid);
  edr_etf_put_pid(buf, &pid);
}

static int order(uint32_t a, uint32_t b) {
  return a < b ? -1 : a > b;
}

int edr_pids_compare(const edr_pids *a, size_t index_a, const edr_pids *b, size_t index_b) {
  const edr_pid_entry *left = &a->entries[index_a], *right = &b->entries[index_b];
  int by = 0;

  if (a != b || left->node != right->node) by = strcmp(a->nodes[left->node], b->nodes[right->node]);
  if (by == 0) by = order(left->creation, right->creation);
  if (by == 0) by = order(left->serial, right->serial);
  return by != 0 ? by : order(left->id, right->id);
}
