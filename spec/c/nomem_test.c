/* Every allocation failing in turn: each unit is run again and again, its first allocation failing, then its second,
 * until it gets through. Each time it says EDR_ENOMEM (or gets by without), gives back all memory, and can be used or
 * freed. How they are made to: exhaust.h. Opening a connection: nomem_open_test.c. */
#include <string.h>

#include "beam.h"
#include "check.h"
#include "clock.h"
#include "etf_keys.h"
#include "exhaust.h"
#include "frame.h"
#include "gzip.h"
#include "paired_node.h"
#include "pid_index.h"
#include "processes.h"
#include "relay.h"
#include "tar.h"

typedef edr_status (*scenario)(void);

/* Runs it with each of its allocations failing. `swallows`: it may succeed without what it could not get. */
static void exhaust(const char *name, scenario run, bool swallows) {
  long n;
  for (n = 1; n < 10000; n++) {
    const long before = live;
    edr_status status;
    failed = false;
    until_failure = n;
    status = run();
    until_failure = 0;
    if (live != before) fprintf(stderr, "%s, allocation %ld: %ld blocks are left\n", name, n, live - before);
    CHECK(live == before);
    if (!failed) {
      if (status != EDR_OK) fprintf(stderr, "%s: %s\n", name, edr_status_name(status));
      CHECK(status == EDR_OK);
      break;
    }
    if (status != EDR_ENOMEM && !(swallows && status == EDR_OK))
      fprintf(stderr, "%s, allocation %ld: %s\n", name, n, edr_status_name(status));
    CHECK(status == EDR_ENOMEM || (swallows && status == EDR_OK));
  }
  CHECK(n > 1 && n < 10000);
}

/* ---- bytes and terms ---- */

static edr_status nested(edr_buf *buf, size_t depth) {
  size_t i;
  for (i = 0; i < depth; i++) edr_etf_put_tuple(buf, 1);
  edr_etf_put_nil(buf);
  return edr_buf_status(buf);
}

static edr_status run_etf(void) {
  edr_buf buf, again;
  edr_etf_reader reader;
  edr_etf_token token;
  edr_status status;
  edr_buf_init(&buf);
  edr_buf_init(&again);
  status = nested(&buf, 500);
  edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
  if (status == EDR_OK) status = edr_etf_skip(&reader);
  edr_etf_reader_deinit(&reader);
  edr_buf_clear(&buf);
  edr_etf_put_bignum(&buf, true, (const uint8_t *)"0123456789abcdef", 16);
  if (status == EDR_OK) status = edr_buf_status(&buf);
  if (status == EDR_OK) {
    edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
    status = edr_etf_next(&reader, &token);
    edr_etf_put_canonical(&again, &token);
    if (status == EDR_OK) status = edr_buf_status(&again);
    edr_etf_reader_deinit(&reader);
  }
  edr_buf_deinit(&buf);
  edr_buf_deinit(&again);
  return status;
}

/* Twenty keys, the last one a long list of tuples in one another. */
static edr_status run_keys(void) {
  edr_buf buf;
  edr_etf_reader reader;
  edr_etf_token token;
  edr_etf_keys keys;
  edr_status status;
  int i;
  edr_buf_init(&buf);
  edr_etf_keys_init(&keys);
  edr_etf_put_map(&buf, 20);
  for (i = 1; i < 20; i++) {
    edr_etf_put_int(&buf, i);
    edr_etf_put_int(&buf, i);
  }
  edr_etf_put_list(&buf, 1);
  (void)nested(&buf, 40);
  edr_etf_put_string(&buf, (const uint8_t *)"tail", 4);
  edr_etf_put_nil(&buf);
  status = edr_buf_status(&buf);
  edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
  do {
    if (status == EDR_OK) status = edr_etf_next(&reader, &token);
    if (status == EDR_OK) status = edr_etf_keys_add(&keys, &token);
  } while (status == EDR_OK && edr_etf_keys_open(&keys));
  edr_etf_reader_deinit(&reader);
  edr_etf_keys_deinit(&keys);
  edr_buf_deinit(&buf);
  return status;
}

/* Ten bytes, stored. */
static const uint8_t gzipped[] = {0x1f, 0x8b, 8,    0,    0,    0,    0,    0,   0,   3,   1,
                                  10,   0,    0xf5, 0xff, 'a',  'b',  'c',  'd', 'e', 'f', 'g',
                                  'h',  'i',  'j',  0x3a, 0x70, 0x81, 0x39, 10,  0,   0,   0};

static edr_status run_gzip(void) {
  const char *problem = NULL;
  edr_buf out;
  edr_status status;
  edr_buf_init(&out);
  status = edr_gzip_expand(EDR_GZIP, gzipped, sizeof gzipped, 1000, &out, &problem);
  CHECK(status != EDR_OK || (out.size == 10 && memcmp(out.data, "abcdefghij", 10) == 0));
  CHECK(status == EDR_OK || problem != NULL);
  edr_buf_deinit(&out);
  return status;
}

/* A long name (GNU), then a file of it. */
static edr_status run_tar(void) {
  static uint8_t archive[4 * EDR_TAR_BLOCK];
  edr_status status = EDR_OK;
  edr_tar_event event = EDR_TAR_ENTRY;
  edr_tar_entry entry = {.name = ""};
  size_t at = 0, used = 0, size;
  edr_tar tar;

  for (int header = 0; header < 2; header++) {
    uint8_t *block = archive + header * 2 * EDR_TAR_BLOCK;
    unsigned sum = 0;
    memset(block, 0, EDR_TAR_BLOCK);
    memcpy(block, "lib/name", 8);
    memcpy(block + 124, header == 0 ? "00000000620" : "00000000000", 11);
    memset(block + 148, ' ', 8);
    block[156] = header == 0 ? 'L' : '0';
    for (size_t i = 0; i < EDR_TAR_BLOCK; i++) sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
  }
  memset(archive + EDR_TAR_BLOCK, 'n', 400);
  archive[EDR_TAR_BLOCK + 3] = '/';
  edr_tar_init(&tar, NULL, 1);
  while (status == EDR_OK && event != EDR_TAR_END) {
    status = edr_tar_next(&tar, archive + at, sizeof archive - at, &used, &event, &entry, &size);
    if (status == EDR_OK && event == EDR_TAR_ENTRY) CHECK(strlen(entry.name) == 400);
    at += used;
  }
  edr_tar_deinit(&tar);
  return status;
}

/* A gzipped file would be no different; this one has atoms and literals. */
static edr_status run_beam(void) {
  static const uint8_t file[] = "FOR1\0\0\0\x2c"
                                "BEAM"
                                "AtU8\0\0\0\6\0\0\0\1\1m\0\0"
                                "LitT\0\0\0\x10\0\0\0\0\0\0\0\1\0\0\0\2\x83\x6a\0\0";
  edr_beam_bytes term;
  const char *name;
  edr_beam beam;
  edr_status status = edr_beam_open(&beam, file, sizeof file - 1, 1000);
  if (status != EDR_OK) return status;
  status = edr_beam_atom(&beam, 1, &name);
  if (status == EDR_OK) status = edr_beam_literal(&beam, 0, &term);
  edr_beam_close(&beam);
  if (status == EDR_OK)
    status = edr_beam_open(&beam, gzipped, sizeof gzipped, 1000) == EDR_ENOMEM ? EDR_ENOMEM : EDR_OK;
  return status;
}

static edr_status run_frame(void) {
  static const uint8_t head[4] = {0, 2, 0, 0};
  edr_frame_reader reader;
  const uint8_t *frame;
  size_t size, i;
  edr_status status = EDR_OK;
  edr_frame_reader_init(&reader, 0);
  for (i = 0; i < 3 && status == EDR_OK; i++) {
    const size_t step = i == 0 ? 4 : 65536;
    uint8_t *room = edr_frame_reader_room(&reader, step);
    if (room == NULL) {
      status = EDR_ENOMEM;
      break;
    }
    memset(room, 'x', step);
    if (i == 0) memcpy(room, head, 4);
    edr_frame_reader_fed(&reader, step);
  }
  if (status == EDR_OK) status = edr_frame_next(&reader, &frame, &size);
  edr_frame_reader_deinit(&reader);
  return status;
}

static edr_status run_control(void) {
  edr_buf buf, payload;
  edr_control control;
  edr_status status;
  size_t begin;
  edr_buf_init(&buf);
  edr_buf_init(&payload);
  status = nested(&payload, 300);
  begin = edr_control_begin(&buf, EDR_CONTROL_SEND, 2);
  edr_etf_put_nil(&buf);
  edr_etf_put_nil(&buf);
  edr_control_payload(&buf, payload.data, payload.size);
  if (status == EDR_OK) status = edr_control_end(&buf, begin);
  if (status == EDR_OK) status = edr_control_decode(buf.data + 4, buf.size - 4, NULL, &control, NULL);
  edr_buf_deinit(&buf);
  edr_buf_deinit(&payload);
  return status;
}

/* ---- pid sets, the mailbox ---- */

static edr_status fill_pids(edr_pids *pids, uint32_t count) {
  edr_status status = EDR_OK;
  uint32_t i;
  for (i = 0; i < count && status == EDR_OK; i++) {
    edr_pid pid = {.id = 100 + i, .creation = 3, .node = "n@h"};
    if (i % 7 == 6) pid.node[0] = (char)('a' + i % 26);
    status = edr_pids_add(pids, &pid);
  }
  return status;
}

static edr_status run_pids(void) {
  edr_pids pids, again;
  edr_pid_index index;
  edr_etf_reader reader;
  edr_buf buf;
  edr_status status;
  size_t i;
  edr_pids_init(&pids);
  edr_pids_init(&again);
  edr_buf_init(&buf);
  memset(&index, 0, sizeof index);
  status = fill_pids(&pids, 100);
  edr_etf_put_list(&buf, pids.count);
  for (i = 0; i < pids.count; i++) edr_pids_put(&buf, &pids, i);
  edr_etf_put_nil(&buf);
  if (status == EDR_OK) status = edr_buf_status(&buf);
  edr_etf_reader_init(&reader, buf.data, buf.size, NULL);
  if (status == EDR_OK && (status = edr_pids_read_list(&again, &reader)) != EDR_OK)
    CHECK(again.count == 0 && again.node_count == 0);
  edr_etf_reader_deinit(&reader);
  if (status == EDR_OK) status = edr_pid_index_init(&index, &again);
  edr_pid_index_deinit(&index);
  edr_pids_deinit(&pids);
  edr_pids_deinit(&again);
  edr_buf_deinit(&buf);
  return status;
}

static edr_status run_inbox(void) {
  static const uint8_t term[3] = {119, 1, 'a'};
  const edr_ref ref = {.creation = 1, .word_count = 3, .node = "n@h"};
  const edr_pid pid = {.id = 1, .node = "n@h"};
  edr_inbox inbox;
  edr_buf message;
  edr_status status = EDR_OK;
  int i;
  edr_inbox_init(&inbox, 0);
  edr_buf_init(&message);
  for (i = 0; i < 50 && status == EDR_OK; i++) status = edr_inbox_put(&inbox, (edr_slice){term, sizeof term});
  if (status == EDR_OK) status = edr_inbox_put_down(&inbox, &ref, &pid, (edr_slice){term, sizeof term});
  for (i = 0; i < 51 && status == EDR_OK; i++) status = edr_inbox_take(&inbox, &message);
  edr_inbox_deinit(&inbox);
  edr_buf_deinit(&message);
  return status;
}

/* ---- calls and bulk requests, over a connection ---- */

/* What a sound node says to the questions of `run_relay`, in their order; to all others the last. */
enum { ASK_SELF, ASK_SLICE, ASK_INFO, ASK_PROCESSES };

static bool answer_relay(void *context, size_t number, edr_buf *value) {
  const edr_pid pid = {.id = 60, .creation = 3, .node = "n@h"};
  int64_t i;
  (void)context;
  switch (number) {
  case ASK_SELF:
    edr_etf_put_pid(value, &pid);
    break;
  case ASK_SLICE: /* one has refused, one is dead */
    edr_etf_put_tuple(value, 3);
    edr_etf_put_tuple(value, 1);
    edr_etf_put_tuple(value, 2);
    edr_etf_put_int(value, 0);
    paired_put_name(value, "busy");
    edr_etf_put_tuple(value, 1);
    edr_etf_put_int(value, 2);
    edr_etf_put_tuple(value, 0);
    break;
  case ASK_INFO:
    edr_etf_put_list(value, 3);
    for (i = 0; i < 3; i++) {
      edr_etf_put_list(value, 1);
      edr_etf_put_tuple(value, 2);
      paired_put_name(value, "current_function");
      edr_etf_put_tuple(value, 3);
      paired_put_name(value, "sys");
      paired_put_name(value, "suspend_loop");
      edr_etf_put_int(value, 7);
      edr_etf_put_nil(value);
    }
    edr_etf_put_nil(value);
    break;
  default:
    edr_etf_put_list(value, 1);
    edr_etf_put_pid(value, &pid);
    edr_etf_put_nil(value);
  }
  return true;
}

static edr_status ask_relay(edr_node *node, const edr_pids *pids) {
  edr_relay_result result;
  edr_pids suspended, all;
  edr_status status;
  edr_pids_init(&suspended);
  edr_pids_init(&all);
  status = edr_relay_sys(node, pids, "suspend", edr_deadline_after(2000), &result);
  if (status == EDR_OK) CHECK(result.failed == 2 && result.reason_count == 1);
  edr_relay_result_deinit(&result);
  if (status == EDR_OK) status = edr_processes_suspended(node, pids, edr_deadline_after(2000), &suspended, NULL, NULL);
  if (status == EDR_OK) CHECK(suspended.count == 3);
  if (status == EDR_OK) status = edr_processes_all(node, edr_deadline_after(2000), &all);
  if (status == EDR_OK) CHECK(all.count == 1);
  edr_pids_deinit(&suspended);
  edr_pids_deinit(&all);
  return status;
}

/* The connection itself is made with all the memory it wants. */
static edr_status run_relay(void) {
  const long planned = until_failure;
  paired_node paired;
  edr_pids pids;
  edr_status status;
  until_failure = 0;
  edr_pids_init(&pids);
  status = fill_pids(&pids, 3);
  paired_open(&paired, answer_relay, NULL);
  until_failure = planned;
  if (status == EDR_OK) status = ask_relay(paired.node, &pids);
  until_failure = 0;
  paired_close(&paired);
  edr_pids_deinit(&pids);
  return status;
}

static edr_status use_node(edr_node *node) {
  const edr_pid pid = {.id = 60, .creation = 3, .node = "n@h"};
  edr_ref ref;
  edr_buf message;
  edr_status status;
  edr_buf_init(&message);
  edr_etf_put_nil(&message);
  status = edr_buf_status(&message);
  if (status == EDR_OK) status = edr_node_monitor(node, &pid, &ref);
  if (status == EDR_OK) status = edr_node_demonitor(node, &ref);
  if (status == EDR_OK) status = edr_node_send(node, &pid, &message, edr_deadline_after(2000));
  if (status == EDR_OK) status = edr_node_send_name(node, "somebody", &message, edr_deadline_after(2000));
  if (status == EDR_OK) status = edr_node_cast(node, "m", "f", &message, edr_deadline_after(2000));
  edr_buf_deinit(&message);
  return status;
}

static edr_status run_node(void) {
  const long planned = until_failure;
  paired_node paired;
  edr_status status;
  until_failure = 0;
  paired_open(&paired, answer_relay, NULL);
  until_failure = planned;
  status = use_node(paired.node);
  until_failure = 0;
  paired_close(&paired);
  return status;
}

int main(void) {
  exhaust("terms", run_etf, false);
  exhaust("keys", run_keys, false);
  exhaust("gzip", run_gzip, false);
  exhaust("tar", run_tar, false);
  exhaust("beam", run_beam, false);
  exhaust("frames", run_frame, false);
  exhaust("control", run_control, false);
  exhaust("pids", run_pids, false);
  exhaust("inbox", run_inbox, false);
  exhaust("node", run_node, false);
  exhaust("relay", run_relay, false);
  printf("%ld allocations failed\n", failures);
  return check_done();
}
