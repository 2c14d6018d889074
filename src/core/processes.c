/* Many processes read at once; the contract is in processes.h. */
#include "processes.h"

#include <string.h>

enum { INFO_SLICE = 10000 }; /* processes in one process_info call */

void edr_processes_put_one(edr_buf *buf, const edr_pids *pids, size_t index, const edr_pid *gone) {
  if (pids->entries[index].creation == gone->creation) {
    edr_pids_put(buf, pids, index);
  } else {
    edr_etf_put_pid(buf, gone);
  }
}

void edr_processes_put(edr_buf *buf, const edr_pids *pids, size_t from, size_t to, const edr_pid *gone) {
  size_t i;
  edr_etf_put_list(buf, to - from);
  for (i = from; i < to; i++) edr_processes_put_one(buf, pids, i, gone);
  edr_etf_put_nil(buf);
}

/* The arguments of `lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(N, Items))`. */
static void put_info_arguments(edr_buf *buf, const edr_pids *pids, size_t from, size_t to, const edr_pid *gone,
                               const edr_buf *items) {
  size_t i;
  edr_etf_put_list(buf, 3);
  edr_etf_put_export(buf, "erlang", "process_info", 2);
  edr_processes_put(buf, pids, from, to, gone);
  edr_etf_put_list(buf, to - from);
  for (i = from; i < to; i++) edr_buf_append(buf, items->data, items->size);
  edr_etf_put_nil(buf);
  edr_etf_put_nil(buf);
}

static edr_status ask_info(edr_node *node, const edr_pids *pids, size_t from, const edr_pid *gone, const edr_buf *items,
                           int64_t deadline_ms, edr_call **out_call) {
  edr_buf arguments;
  edr_status status;
  const size_t left = pids->count - from;
  edr_buf_init(&arguments);
  put_info_arguments(&arguments, pids, from, from + (left < INFO_SLICE ? left : INFO_SLICE), gone, items);
  status = edr_buf_status(&arguments);
  if (status == EDR_OK) status = edr_node_call(node, "lists", "zipwith", &arguments, deadline_ms, out_call);
  edr_buf_deinit(&arguments);
  return status;
}

/* Reads over what process_info gives of one process: `[{Item, Value}, ...]`, or `undefined`. */
static edr_status skip_info(edr_etf_reader *reader) {
  edr_etf_token token;
  edr_status status;
  size_t count, arity, i;
  if (edr_etf_read_this_atom(reader, "undefined") == EDR_OK) return EDR_OK;
  if ((status = edr_etf_next(reader, &token)) != EDR_OK) return status;
  if (token.kind != EDR_ETF_LIST) return EDR_EPROTOCOL;
  count = token.count;
  for (i = 0; i < count; i++) {
    if ((status = edr_etf_read_tuple(reader, &arity)) != EDR_OK) return status;
    if (arity != 2 || edr_etf_next(reader, &token) != EDR_OK || token.kind != EDR_ETF_ATOM) return EDR_EPROTOCOL;
    if ((status = edr_etf_skip(reader)) != EDR_OK || (status = edr_etf_read_end(reader)) != EDR_OK) return status;
  }
  if ((status = edr_etf_next(reader, &token)) != EDR_OK) return status;
  return token.kind == EDR_ETF_NIL ? edr_etf_read_end(reader) : EDR_EPROTOCOL;
}

static edr_status read_info(edr_slice value, size_t from, size_t expected, edr_processes_on_info on_info,
                            void *context) {
  edr_etf_reader reader;
  edr_etf_token token;
  edr_status status;
  size_t i;
  edr_etf_reader_init(&reader, value.data, value.size, NULL);
  status = edr_etf_next(&reader, &token);
  if (status == EDR_OK && (token.kind != EDR_ETF_LIST || token.count != expected)) status = EDR_EPROTOCOL;
  for (i = 0; i < expected && status == EDR_OK; i++) {
    edr_slice info = {reader.data + reader.offset, 0};
    if ((status = skip_info(&reader)) != EDR_OK) break;
    info.size = (size_t)(reader.data + reader.offset - info.data);
    status = on_info(context, from + i, info);
  }
  edr_etf_reader_deinit(&reader);
  return status;
}

edr_status edr_processes_info(edr_node *node, const edr_pids *pids, const edr_buf *items, int64_t deadline_ms,
                              edr_processes_on_info on_info, void *context) {
  edr_call *now = NULL, *next = NULL;
  edr_pid gone;
  edr_status status = EDR_OK;
  size_t from;

  /* While one slice is read here, the node works on the next. */
  if (pids->count > 0) status = edr_node_gone_pid(node, deadline_ms, &gone);
  if (pids->count > 0 && status == EDR_OK) status = ask_info(node, pids, 0, &gone, items, deadline_ms, &now);
  for (from = 0; from < pids->count && status == EDR_OK; from += INFO_SLICE) {
    const size_t left = pids->count - from;
    if (left > INFO_SLICE) status = ask_info(node, pids, from + INFO_SLICE, &gone, items, deadline_ms, &next);
    if (status == EDR_OK) status = edr_node_await(node, now, deadline_ms);
    if (status == EDR_OK && edr_call_outcome(now) != EDR_OUTCOME_RETURN)
      status = edr_call_had_no_room(now) ? EDR_ENOROOM : EDR_EBADARG;
    if (status == EDR_OK)
      status = read_info(edr_call_value(now), from, left < INFO_SLICE ? left : INFO_SLICE, on_info, context);
    edr_call_free(now);
    now = next;
    next = NULL;
  }
  edr_call_free(now);
  return status;
}

bool edr_processes_owned(const edr_node *node, const edr_pids *pids, const char **out_other) {
  size_t i;
  for (i = 0; i < pids->node_count; i++) {
    if (strcmp(pids->nodes[i], edr_node_name(node)) == 0) continue;
    *out_other = pids->nodes[i];
    return false;
  }
  return true;
}

edr_status edr_processes_all(edr_node *node, int64_t deadline_ms, edr_pids *out_pids) {
  edr_buf none;
  edr_call *call = NULL;
  edr_etf_reader reader;
  edr_slice value;
  const char *other;
  edr_status status;
  edr_buf_init(&none);
  edr_etf_put_nil(&none);
  status = edr_buf_status(&none);
  if (status == EDR_OK) status = edr_node_call_await(node, "erlang", "processes", &none, deadline_ms, &call);
  edr_buf_deinit(&none);
  if (status != EDR_OK) return status;
  value = edr_call_value(call);
  edr_etf_reader_init(&reader, value.data, value.size, NULL);
  status = edr_pids_read_list(out_pids, &reader);
  if (status == EDR_OK && !edr_processes_owned(node, out_pids, &other)) status = EDR_EPROTOCOL;
  edr_etf_reader_deinit(&reader);
  edr_call_free(call);
  return status;
}

/* ---- who is suspended ---- */

typedef struct suspended_scan {
  const edr_pids *pids;
  edr_pids *suspended, *hibernating, *asleep;
} suspended_scan;

static bool token_is(const edr_etf_token *token, const char *text) {
  const size_t size = strlen(text);
  return token->kind == EDR_ETF_ATOM && token->size == size && memcmp(token->data, text, size) == 0;
}

static bool token_starts_with(const edr_etf_token *token, const char *text) {
  const size_t size = strlen(text);
  return token->kind == EDR_ETF_ATOM && token->size >= size && memcmp(token->data, text, size) == 0;
}

/* `[{current_function, {M, F, A}}]`, or `undefined` for a process that is gone. */
static edr_status scan_current_function(void *context, size_t index, edr_slice info) {
  const suspended_scan *scan = context;
  edr_etf_reader reader;
  edr_etf_token module, function;
  edr_status status = EDR_OK;
  size_t arity;

  edr_etf_reader_init(&reader, info.data, info.size, NULL);
  if (edr_etf_next(&reader, &module) == EDR_OK && module.kind == EDR_ETF_LIST &&
      edr_etf_read_tuple(&reader, &arity) == EDR_OK && edr_etf_read_this_atom(&reader, "current_function") == EDR_OK &&
      edr_etf_read_tuple(&reader, &arity) == EDR_OK && edr_etf_next(&reader, &module) == EDR_OK) {
    /* The token of an atom is valid until the next one only. */
    const bool is_sys = token_is(&module, "sys");
    const bool is_erlang = token_is(&module, "erlang");
    const bool is_behaviour = token_is(&module, "gen_server") || token_is(&module, "gen_statem");
    edr_pids *among = NULL;
    if (edr_etf_next(&reader, &function) == EDR_OK) {
      if (is_sys && token_starts_with(&function, "suspend_loop")) {
        among = scan->suspended;
      } else if (is_erlang && token_starts_with(&function, "hibernate")) {
        among = scan->hibernating;
      } else if (is_behaviour && token_is(&function, "loop_hibernate")) {
        among = scan->asleep;
      }
    }
    if (among != NULL) status = edr_pids_add_from(among, scan->pids, index);
  }
  edr_etf_reader_deinit(&reader);
  return status;
}

edr_status edr_processes_suspended(edr_node *node, const edr_pids *pids, int64_t deadline_ms, edr_pids *out_suspended,
                                   edr_pids *out_hibernating, edr_pids *out_asleep) {
  suspended_scan scan = {pids, out_suspended, out_hibernating, out_asleep};
  edr_buf items;
  edr_status status;
  edr_buf_init(&items);
  edr_etf_put_list(&items, 1);
  edr_etf_put_name(&items, "current_function");
  edr_etf_put_nil(&items);
  status = edr_buf_status(&items);
  if (status == EDR_OK) status = edr_processes_info(node, pids, &items, deadline_ms, scan_current_function, &scan);
  edr_buf_deinit(&items);
  return status;
}
