/* Fuzzes the codec. Held against it: a failed step moves nothing; skipping, stepping and reading integers in runs
 * agree; all counts of a term together stay below its size; and the canonical form of a scalar reads back as the same,
 * and is its own. */
#include <stdlib.h>
#include <string.h>

#include "etf_keys.h"
#include "pids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) abort();                                                                                         \
  } while (0)

static const edr_etf_limits limits = {.max_depth = 50, .max_count = 1000, .max_size = 4096};

static bool same_value(const edr_etf_token *a, const edr_etf_token *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
  case EDR_ETF_INT:
    return a->integer == b->integer;
  case EDR_ETF_FLOAT:
    return memcmp(&a->real, &b->real, sizeof a->real) == 0;
  case EDR_ETF_ATOM:
  case EDR_ETF_BINARY:
  case EDR_ETF_STRING:
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
  case EDR_ETF_BIGNUM:
    return a->negative == b->negative && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
  case EDR_ETF_BITSTRING:
    return a->size == b->size && a->bits == b->bits && memcmp(a->data, b->data, a->size - 1) == 0;
  default:
    return true; /* identifiers, funs: what counts is that the canonical form is its own */
  }
}

static void check_canonical(const edr_etf_token *token) {
  edr_buf once, twice;
  edr_etf_reader reader;
  edr_etf_token again;

  edr_buf_init(&once);
  edr_buf_init(&twice);
  edr_etf_put_canonical(&once, token);
  MUST(edr_buf_status(&once) == EDR_OK);
  if (once.size > 0) {
    edr_etf_reader_init(&reader, once.data, once.size, NULL);
    MUST(edr_etf_next(&reader, &again) == EDR_OK && edr_etf_reader_at_end(&reader));
    MUST(same_value(token, &again));
    edr_etf_put_canonical(&twice, &again);
    MUST(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    edr_etf_reader_deinit(&reader);
  }
  edr_buf_deinit(&once);
  edr_buf_deinit(&twice);
}

static bool unmoved(const edr_etf_reader *reader, const edr_etf_mark *before) {
  edr_etf_mark now = edr_etf_reader_mark(reader);
  return memcmp(before, &now, sizeof now) == 0;
}

static void note(uint64_t *integers, int64_t value) {
  *integers = *integers * 31 + (uint64_t)value;
}

/* Reads one term token by token; EDR_OK where it ended as it should. */
static edr_status step_over(edr_etf_reader *reader, edr_etf_keys *keys, uint64_t *integers) {
  size_t promised = 0;
  bool distinct = true;
  edr_etf_token token;

  do {
    edr_etf_mark before = edr_etf_reader_mark(reader);
    edr_status status = edr_etf_next(reader, &token);
    if (status != EDR_OK) {
      MUST(unmoved(reader, &before));
      MUST(edr_etf_reader_problem(reader)[0] != '\0');
      return status;
    }
    promised += token.count;
    if (distinct && (token.kind == EDR_ETF_MAP || edr_etf_keys_open(keys)))
      distinct = edr_etf_keys_add(keys, &token) == EDR_OK;
    MUST(keys->depth <= reader->depth || !distinct);
    if (token.kind == EDR_ETF_INT) note(integers, token.integer);
    MUST(token.raw >= reader->data && token.raw + token.raw_size == reader->data + reader->offset);
    MUST(promised <= reader->size);
    check_canonical(&token);
  } while (reader->depth > 0);
  MUST(!distinct || !edr_etf_keys_open(keys));
  edr_etf_keys_reset(keys);
  return EDR_OK;
}

/* The same, with integers in runs of up to `most`. */
static edr_status run_over(edr_etf_reader *reader, size_t most, uint64_t *integers) {
  int64_t values[8];
  edr_etf_token token;

  do {
    const size_t count = edr_etf_next_ints(reader, most, values);
    edr_status status;
    for (size_t i = 0; i < count; i++) note(integers, values[i]);
    if (count > 0) continue;
    status = edr_etf_next(reader, &token);
    if (status != EDR_OK) return status;
    if (token.kind == EDR_ETF_INT) note(integers, token.integer);
  } while (reader->depth > 0);
  return EDR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  edr_etf_reader stepping, running, skipping, pid_reader;
  uint64_t stepped = 0, ran = 0;
  edr_etf_keys keys;
  edr_pids pids;
  edr_status status;

  edr_etf_reader_init(&stepping, data, size, &limits);
  edr_etf_reader_init(&running, data, size, &limits);
  edr_etf_reader_init(&skipping, data, size, &limits);
  edr_etf_reader_init(&pid_reader, data, size, &limits);
  edr_pids_init(&pids);
  edr_etf_keys_init(&keys);
  do {
    edr_etf_mark before = edr_etf_reader_mark(&skipping);
    status = edr_etf_skip(&skipping);
    MUST(status == EDR_OK || unmoved(&skipping, &before));
    MUST(step_over(&stepping, &keys, &stepped) == status);
    MUST(status != EDR_OK || stepping.offset == skipping.offset);
    MUST(run_over(&running, 1 + size % 8, &ran) == status);
    MUST(running.offset == stepping.offset && running.count == stepping.count && ran == stepped);
  } while (status == EDR_OK);
  status = edr_pids_read_list(&pids, &pid_reader);
  MUST(status == EDR_OK || (pids.count == 0 && pids.node_count == 0 && pid_reader.offset == 0));
  edr_pids_deinit(&pids);
  edr_etf_keys_deinit(&keys);
  edr_etf_reader_deinit(&stepping);
  edr_etf_reader_deinit(&running);
  edr_etf_reader_deinit(&skipping);
  edr_etf_reader_deinit(&pid_reader);
  return 0;
}
