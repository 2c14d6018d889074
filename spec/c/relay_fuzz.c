/* Fuzzes what a node answers to bulk requests. The first byte chooses the request; then come the values that the node's
 * calls return, each with its length in two bytes. Held against it: it ends in time, and whatever it gives out is what
 * its contract says. */
#include <stdlib.h>

#include "clock.h"
#include "paired_node.h"
#include "processes.h"
#include "relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) abort();                                                                                         \
  } while (0)

typedef struct script {
  const uint8_t *data;
  size_t size;
} script;

static bool next_value(void *context, size_t number, edr_buf *value) {
  script *left = context;
  size_t size;
  (void)number;
  if (left->size < 2) return false;
  size = (size_t)left->data[0] << 8 | left->data[1];
  if (size > left->size - 2) size = left->size - 2;
  edr_buf_append(value, left->data + 2, size);
  left->data += 2 + size;
  left->size -= 2 + size;
  return true;
}

/* What relay.h promises of each info. */
static edr_status on_info(void *context, size_t index, edr_slice info) {
  edr_etf_reader reader;
  edr_etf_token token;
  size_t *next = context, arity = 0, i;
  MUST(index == *next && index < 3);
  ++*next;
  edr_etf_reader_init(&reader, info.data, info.size, NULL);
  if (edr_etf_read_this_atom(&reader, "undefined") != EDR_OK) {
    MUST(edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_LIST);
    for (i = token.count; i > 0; i--) {
      MUST(edr_etf_read_tuple(&reader, &arity) == EDR_OK && arity == 2);
      MUST(edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_ATOM);
      MUST(edr_etf_skip(&reader) == EDR_OK && edr_etf_read_end(&reader) == EDR_OK);
    }
    MUST(edr_etf_next(&reader, &token) == EDR_OK && token.kind == EDR_ETF_NIL && edr_etf_read_end(&reader) == EDR_OK);
  }
  MUST(edr_etf_reader_at_end(&reader));
  edr_etf_reader_deinit(&reader);
  return EDR_OK;
}

static void ask_sys(edr_node *node, const edr_pids *pids) {
  edr_relay_result result;
  size_t failed = 0, i;
  if (edr_relay_sys(node, pids, "suspend", edr_deadline_after(3), &result) == EDR_OK) {
    for (i = 0; i < result.count; i++) failed += result.answers[i] != EDR_ANSWER_OK;
    MUST(result.count == pids->count && failed == result.failed);
  }
  edr_relay_result_deinit(&result);
}

static void ask_info(edr_node *node, const edr_pids *pids) {
  edr_buf items;
  size_t next = 0;
  edr_buf_init(&items);
  edr_etf_put_list(&items, 1);
  paired_put_name(&items, "message_queue_len");
  edr_etf_put_nil(&items);
  if (edr_processes_info(node, pids, &items, edr_deadline_after(500), on_info, &next) == EDR_OK)
    MUST(next == pids->count);
  edr_buf_deinit(&items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  script left = {data + 1, size - 1};
  paired_node paired;
  edr_pids pids, all, hibernating;
  const int64_t late = edr_deadline_after(5000);
  int i;

  if (size < 1) return 0;
  edr_pids_init(&pids);
  edr_pids_init(&all);
  edr_pids_init(&hibernating);
  for (i = 0; i < 3; i++)
    MUST(edr_pids_add(&pids, &(edr_pid){.id = 100u + (uint32_t)i, .creation = 3, .node = "n@h"}) == EDR_OK);
  paired_open(&paired, next_value, &left);
  switch (data[0] % 4) {
  case 0:
    ask_sys(paired.node, &pids);
    break;
  case 1:
    ask_info(paired.node, &pids);
    break;
  case 2:
    (void)edr_processes_all(paired.node, edr_deadline_after(500), &all);
    break;
  default:
    if (edr_processes_suspended(paired.node, &pids, edr_deadline_after(500), &all, &hibernating, &hibernating) ==
        EDR_OK)
      MUST(all.count + hibernating.count <= 3);
  }
  paired_close(&paired);
  MUST(edr_clock_now_ms() < late);
  edr_pids_deinit(&pids);
  edr_pids_deinit(&all);
  edr_pids_deinit(&hibernating);
  return 0;
}
