/* What a connection asks of many processes at once, in Lua. Pid sets go in and come out; no pid becomes a Lua value of
 * its own here. */
#include "bulk.h"

#include <stdint.h>
#include <string.h>

#include "connection.h"
#include "decode.h"
#include "encode.h"
#include "pid_sets.h"
#include "processes.h"
#include "relay.h"
#include "support.h"

/*** All processes of the node.
@function connection:processes
@return a pid set, or nil, message, code
*/
static int node_processes(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 2, EDR_LUA_TIMEOUT_MS);
  edr_pids *pids = edr_lua_new_pids(L);
  const edr_status status = edr_processes_all(node, deadline_ms, pids);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  edr_lua_pids_filled(L, pids);
  return 1;
}

/* Pids of another node are refused: NULL, with nil, message, "badarg" pushed. They may come from the node itself, so it
 * is not the caller's mistake. Those of an earlier life of this one are dead. */
static edr_pids *check_local_pids(lua_State *L, int index, edr_node *node) {
  edr_pids *pids = edr_lua_check_pids(L, index);
  const char *other, *message;
  if (edr_processes_owned(node, pids, &other)) return pids;
  message = lua_pushfstring(L, "these are not all pids of %s: one is of %s", edr_node_name(node), other);
  edr_lua_refused(L, EDR_EBADARG, message);
  return NULL;
}

/*** Whether all of these are processes of this node, so that it can be asked about them.
@function connection:owns
@param pids
@return true, or nil, message, "badarg"
*/
static int node_owns(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  lua_settop(L, 2);
  if (check_local_pids(L, 2, node) == NULL) return 3;
  lua_pushboolean(L, 1);
  return 1;
}

static int result_gc(lua_State *L) {
  edr_relay_result_deinit(lua_touserdata(L, 1));
  return 0;
}

/* The position of each process that answered something else than ok, with what it answered: `{ [position] = term }`. */
static void push_answers(lua_State *L, const edr_relay_result *result) {
  const char *problem;
  size_t i;
  lua_createtable(L, 0, result->reason_count < 65536 ? (int)result->reason_count : 65536);
  for (i = 0; i < result->reason_count; i++) {
    const edr_relay_reason *reason = &result->reasons[i];
    const int top = lua_gettop(L);
    if (edr_lua_decode(L, result->terms.data + reason->from, reason->size, &problem) == EDR_OK)
      lua_rawseti(L, top, (lua_Integer)reason->index + 1);
    lua_settop(L, top);
  }
}

/*** Sends `sys` requests to many processes and waits for their answers.
@function connection:sys
@param request "suspend", "resume", or `{change_code, Module, OldVsn, Extra}` as a term
@param pids
@param[opt=1000] timeout in ms
@return the number of processes that did not answer ok, then a list of their positions and one of the reasons ("noproc",
"timeout", "error"), and a table with what those of "error" answered, by position; or nil, message, code, and whether
requests may have been sent
*/
static int node_sys(lua_State *L) {
  static const char *const requests[] = {"suspend", "resume", NULL};
  static const char *const reasons[] = {"ok", "timeout", "noproc", "error"};
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 4, 1000);
  edr_buf *request;
  edr_pids *pids;
  edr_relay_result *result;
  edr_status status;
  lua_Integer found = 0;
  size_t i;

  lua_settop(L, 3);
  request = edr_lua_new_buf(L);
  if (lua_type(L, 2) == LUA_TSTRING) {
    edr_etf_put_name(request, requests[luaL_checkoption(L, 2, NULL, requests)]);
  } else {
    edr_lua_encode(L, 2, request);
  }
  pids = check_local_pids(L, 3, node);
  if (pids == NULL) {
    lua_pushboolean(L, 0);
    return 4;
  }
  result = lua_newuserdatauv(L, sizeof *result, 0);
  memset(result, 0, sizeof *result);
  if (luaL_newmetatable(L, "edeliver.relup.result")) {
    lua_pushcfunction(L, result_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  status = edr_buf_status(request);
  if (status == EDR_OK)
    status = edr_relay_ask(node, pids, (edr_slice){.data = request->data, .size = request->size}, deadline_ms, result);
  edr_buf_deinit(request);
  if (status != EDR_OK) {
    const int results = edr_lua_node_refused(L, node, status);
    lua_pushboolean(L, result->sent);
    return results + 1;
  }
  lua_pushinteger(L, (lua_Integer)result->failed);
  lua_createtable(L, result->failed < 65536 ? (int)result->failed : 65536, 0);
  lua_createtable(L, result->failed < 65536 ? (int)result->failed : 65536, 0);
  for (i = 0; i < result->count; i++) {
    if (result->answers[i] == EDR_ANSWER_OK) continue;
    found++;
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_rawseti(L, -3, found);
    lua_pushstring(L, reasons[result->answers[i]]);
    lua_rawseti(L, -2, found);
  }
  push_answers(L, result);
  edr_relay_result_deinit(result);
  return 4;
}

/* ---- process_info ---- */

/* How many parts all processes of a request may have together: what one term may, and so many more for each. Two items
 * are 7 or 8 parts. */
enum { PARTS_A_PROCESS = 16 };

typedef struct info_target {
  lua_State *L;
  int list, decoder; /* where they are on the stack */
  size_t index;
  edr_slice info;
  size_t parts_left;
  bool raised;   /* Lua raised, and its error is on top of the stack */
  bool too_much; /* what came has too many parts or levels */
} info_target;

/* Pushes `{ item = value }` for `[{Item, Value}, ...]`, false for `undefined`: a dead process. */
static edr_status push_info(lua_State *L, edr_lua_decoder *decoder, edr_slice info, size_t max_parts) {
  edr_etf_reader *reader = &decoder->reader;
  edr_etf_token token;
  edr_status status = edr_lua_decoder_read(decoder, info.data, info.size, max_parts);
  size_t count, arity, i;

  if (status == EDR_OK) status = edr_etf_next(reader, &token);
  if (status != EDR_OK) return status;
  if (token.kind == EDR_ETF_ATOM) {
    lua_pushboolean(L, 0);
    return EDR_OK;
  }
  if (token.kind != EDR_ETF_LIST) return EDR_EPROTOCOL;
  count = token.count;
  lua_createtable(L, 0, count < INT8_MAX ? (int)count : INT8_MAX);
  for (i = 0; i < count && status == EDR_OK; i++) {
    if ((status = edr_etf_read_tuple(reader, &arity)) != EDR_OK) break;
    if ((status = edr_etf_next(reader, &token)) != EDR_OK) break;
    if (arity != 2 || token.kind != EDR_ETF_ATOM) return EDR_EPROTOCOL;
    lua_pushlstring(L, (const char *)token.data, token.size);
    if ((status = edr_lua_decode_next(L, decoder)) != EDR_OK) break;
    lua_rawset(L, -3);
    status = edr_etf_read_end(reader);
  }
  return status;
}

/* Arguments: the list that the process goes into, the target, and a decoder. Returns nothing, or why the term can't be
 * read. */
static int add_info(lua_State *L) {
  info_target *target = lua_touserdata(L, 2);
  edr_lua_decoder *decoder = lua_touserdata(L, 3);
  const size_t left = target->parts_left;
  const edr_status status = push_info(L, decoder, target->info, left < EDR_LUA_MAX_PARTS ? left : EDR_LUA_MAX_PARTS);
  const size_t parts = edr_lua_decoder_parts(decoder);
  if (status != EDR_OK) {
    lua_pushinteger(L, status);
    return 1;
  }
  target->parts_left = parts < left ? left - parts : 0;
  lua_rawseti(L, 1, (lua_Integer)target->index + 1);
  return 0;
}

/* What Lua raises in between (no memory, an interrupt) must not pass through the core, which owns calls by then. */
static edr_status on_info(void *context, size_t index, edr_slice info) {
  info_target *target = context;
  lua_State *L = target->L;
  edr_status status = EDR_OK;

  target->index = index;
  target->info = info;
  lua_pushcfunction(L, add_info);
  lua_pushvalue(L, target->list);
  lua_pushlightuserdata(L, target);
  lua_pushvalue(L, target->decoder);
  if (lua_pcall(L, 3, 1, 0) != LUA_OK) {
    target->raised = true;
    return EDR_EBADARG;
  }
  if (!lua_isnil(L, -1)) status = (edr_status)lua_tointeger(L, -1);
  lua_pop(L, 1);
  target->too_much = status == EDR_ELIMIT;
  return status;
}

/*** `erlang:process_info/2` of many processes.
@function connection:process_info
@param pids
@tparam table items names, as strings
@param[opt=5000] timeout in ms
@return a list with a table `{ item = value }` for each process, or false where it is dead; or nil, message, code
*/
static int node_process_info(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 4, EDR_LUA_TIMEOUT_MS);
  info_target target = {.L = L, .parts_left = EDR_LUA_MAX_PARTS};
  edr_pids *pids;
  edr_buf *items;
  edr_status status;
  lua_Integer i, count;

  lua_settop(L, 3);
  pids = check_local_pids(L, 2, node);
  if (pids == NULL) return 3;
  luaL_checktype(L, 3, LUA_TTABLE);
  target.parts_left += pids->count * PARTS_A_PROCESS;
  items = edr_lua_new_buf(L);
  count = luaL_len(L, 3);
  if (count == 0) luaL_argerror(L, 3, "at least one item expected");
  edr_etf_put_list(items, (size_t)count);
  for (i = 1; i <= count; i++) {
    lua_geti(L, 3, i);
    const char *item = edr_lua_check_atom(L, lua_gettop(L));
    if (strcmp(item, "messages") == 0)
      luaL_argerror(L, 3, "the messages of other people's processes are not to be read");
    edr_etf_put_atom(items, item, strlen(item));
    lua_pop(L, 1);
  }
  edr_etf_put_nil(items);
  lua_createtable(L, pids->count < 65536 ? (int)pids->count : 65536, 0);
  target.list = lua_gettop(L);
  edr_lua_new_decoder(L);
  target.decoder = lua_gettop(L);
  status = edr_processes_info(node, pids, items, deadline_ms, on_info, &target);
  edr_buf_deinit(items);
  if (target.raised) return lua_error(L);
  if (target.too_much)
    return edr_lua_refused(L, status,
                           "what process_info gives of these processes is more than is taken at once: ask for fewer of "
                           "them, or for fewer items");
  if (status == EDR_EBADARG) return edr_lua_refused(L, status, "the node refused these process_info items");
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  lua_settop(L, target.list);
  return 1;
}

/*** Which of these processes are suspended by `sys` now.
@function connection:suspended
@param pids
@param[opt=5000] timeout in ms
@return three pid sets: those that do; those that hibernate, of which only sys:get_status tells; those that hibernate,
and show that they are not suspended; or nil, message, code
*/
static int node_suspended(lua_State *L) {
  edr_node *node = edr_lua_check_node(L);
  const int64_t deadline_ms = edr_lua_check_deadline(L, 3, EDR_LUA_TIMEOUT_MS);
  edr_pids *pids, *suspended, *hibernating, *asleep;
  edr_status status;
  lua_settop(L, 2);
  pids = check_local_pids(L, 2, node);
  if (pids == NULL) return 3;
  suspended = edr_lua_new_pids(L);
  hibernating = edr_lua_new_pids(L);
  asleep = edr_lua_new_pids(L);
  status = edr_processes_suspended(node, pids, deadline_ms, suspended, hibernating, asleep);
  if (status != EDR_OK) return edr_lua_node_refused(L, node, status);
  edr_lua_pids_filled(L, suspended);
  return 3;
}

const luaL_Reg edr_lua_bulk_methods[] = {
    {"processes", node_processes},       {"owns", node_owns},           {"sys", node_sys},
    {"process_info", node_process_info}, {"suspended", node_suspended}, {NULL, NULL}};
