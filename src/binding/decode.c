/* Terms from the external format; the contract is in decode.h. */
#include "decode.h"

#include <lauxlib.h>
#include <string.h>

#include "gzip.h"
#include "support.h"
#include "types.h"

enum { MAX_DEPTH = 1024 };

static void push_atom(lua_State *L, const edr_lua_types *t, const uint8_t *data, size_t size) {
  if (size == 4 && memcmp(data, "true", 4) == 0) {
    lua_pushboolean(L, 1);
    return;
  }
  if (size == 5 && memcmp(data, "false", 5) == 0) {
    lua_pushboolean(L, 0);
    return;
  }
  lua_pushlstring(L, (const char *)data, size);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, t->atoms) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushvalue(L, t->new_atom);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
  } else {
    lua_remove(L, -2);
  }
}

static const char *opaque_kind(edr_etf_kind kind) {
  switch (kind) {
  case EDR_ETF_PID:
    return "pid";
  case EDR_ETF_PORT:
    return "port";
  case EDR_ETF_REF:
    return "ref";
  case EDR_ETF_FUN:
    return "fun";
  case EDR_ETF_EXPORT:
    return "export";
  case EDR_ETF_BITSTRING:
    return "bitstring";
  default:
    return "bignum";
  }
}

static void push_charlist(lua_State *L, const edr_lua_types *t, const uint8_t *data, size_t size) {
  luaL_Buffer text;
  size_t i;
  lua_createtable(L, 0, 1);
  luaL_buffinit(L, &text);
  for (i = 0; i < size; i++) { /* Latin-1 to UTF-8 */
    if (data[i] < 0x80) {
      luaL_addchar(&text, (char)data[i]);
    } else {
      luaL_addchar(&text, (char)(0xc0 | data[i] >> 6));
      luaL_addchar(&text, (char)(0x80 | (data[i] & 0x3f)));
    }
  }
  luaL_pushresult(&text);
  lua_setfield(L, -2, "text");
  lua_pushvalue(L, t->charlist);
  lua_setmetatable(L, -2);
}

static edr_status push_scalar(lua_State *L, const edr_lua_types *t, const edr_etf_token *token, edr_buf *scratch) {
  switch (token->kind) {
  case EDR_ETF_INT:
    lua_pushinteger(L, token->integer);
    return EDR_OK;
  case EDR_ETF_FLOAT:
    lua_pushnumber(L, token->real);
    return EDR_OK;
  case EDR_ETF_ATOM:
    push_atom(L, t, token->data, token->size);
    return EDR_OK;
  case EDR_ETF_BINARY:
    lua_pushlstring(L, (const char *)token->data, token->size);
    return EDR_OK;
  case EDR_ETF_STRING:
    push_charlist(L, t, token->data, token->size);
    return EDR_OK;
  case EDR_ETF_NIL:
    lua_createtable(L, 0, 0);
    lua_pushvalue(L, t->list);
    lua_setmetatable(L, -2);
    return EDR_OK;
  default:
    edr_buf_clear(scratch);
    edr_etf_put_canonical(scratch, token);
    if (scratch->failed) return EDR_ENOMEM;
    edr_lua_push_opaque(L, t, opaque_kind(token->kind), scratch);
    return EDR_OK;
  }
}

/* A compound term that is being read: its table is on the Lua stack. */
typedef struct open_term {
  edr_etf_kind kind;
  size_t read;  /* elements read so far */
  size_t count; /* elements; of a list, those before the tail */
  size_t tails; /* of a list: those that were its tail and are a part of it now; each has an END of its own to come */
} open_term;

static bool at_tail(const open_term *open) {
  return open->kind == EDR_ETF_LIST && open->read == open->count;
}

/* A list of bytes where a list's tail belongs carries that on. */
static void append_bytes(lua_State *L, open_term *open, const uint8_t *data, size_t size) {
  size_t i;
  for (i = 0; i < size; i++) {
    lua_pushinteger(L, data[i]);
    lua_rawseti(L, -2, (lua_Integer)++open->read);
  }
  open->count = open->read;
}

/* Where an integer has come, more may. Among the entries of a map they come one by one. */
static edr_status append_ints(lua_State *L, edr_lua_decoder *decoder, open_term *open) {
  enum { AT_ONCE = 64 };
  int64_t values[AT_ONCE];
  size_t count = AT_ONCE, i;
  edr_status status = EDR_OK;
  while (count == AT_ONCE && open->read < open->count && status == EDR_OK) {
    const size_t left = open->count - open->read;
    count = edr_etf_next_ints(&decoder->reader, left < AT_ONCE ? left : AT_ONCE, values);
    for (i = 0; i < count; i++) {
      lua_pushinteger(L, values[i]);
      lua_rawseti(L, -2, (lua_Integer)++open->read);
    }
    if (edr_etf_keys_open(&decoder->keys)) status = edr_etf_keys_add_ints(&decoder->keys, values, count);
  }
  return status;
}

/* Puts the finished value on top into the compound term below it. */
static void attach(lua_State *L, open_term *open) {
  open->read++;
  if (open->kind == EDR_ETF_LIST && open->read > open->count) {
    lua_setfield(L, -2, "tail");
  } else {
    lua_rawseti(L, -2, (lua_Integer)open->read);
  }
}

/* The table on top becomes the tuple, list or map that it was read for. */
static void finish(lua_State *L, const edr_lua_types *t, const open_term *open) {
  if (open->kind == EDR_ETF_MAP) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, t->entries);
    lua_rotate(L, -3, -1); /* map, entries key, flat array */
    lua_rawset(L, -3);
    lua_pushvalue(L, t->map);
  } else {
    lua_pushvalue(L, open->kind == EDR_ETF_TUPLE ? t->tuple : t->list);
  }
  lua_setmetatable(L, -2);
}

/* Maps alone are looked at, with all that is in them. */
static edr_status check_keys(edr_lua_decoder *decoder, const edr_etf_token *token) {
  edr_status status;
  if (token->kind != EDR_ETF_MAP && !edr_etf_keys_open(&decoder->keys)) return EDR_OK;
  status = edr_etf_keys_add(&decoder->keys, token);
  if (status == EDR_EPROTOCOL) decoder->problem = "a map that has one of its keys twice";
  return status;
}

static edr_status decode_one(lua_State *L, const edr_lua_types *t, edr_lua_decoder *decoder) {
  edr_etf_reader *reader = &decoder->reader;
  open_term open[MAX_DEPTH];
  size_t depth = 0;
  do {
    open_term *top = depth > 0 ? &open[depth - 1] : NULL;
    edr_etf_token token;
    edr_status status = edr_etf_next(reader, &token);
    if (status == EDR_OK) status = check_keys(decoder, &token);
    if (status != EDR_OK) return status;
    if (token.kind == EDR_ETF_LIST && top != NULL && at_tail(top)) {
      top->count += token.count;
      top->tails++;
      continue;
    }
    if (token.kind == EDR_ETF_TUPLE || token.kind == EDR_ETF_LIST || token.kind == EDR_ETF_MAP) {
      const size_t count = token.kind == EDR_ETF_MAP ? token.count * 2 : token.count;
      if (depth == MAX_DEPTH) return EDR_ELIMIT;
      luaL_checkstack(L, 8, "a term is nested too deeply");
      /* Counts that are not what comes cost little: all of a term together stay below its size, and the limit. */
      lua_createtable(L, (int)count, 0);
      open[depth++] = (open_term){token.kind, 0, count, 0};
      continue;
    }
    if (token.kind == EDR_ETF_END) {
      if (top == NULL) return EDR_EPROTOCOL; /* no reader says so */
      if (top->tails > 0) {
        top->tails--;
        continue;
      }
      finish(L, t, &open[--depth]);
    } else if (token.kind == EDR_ETF_NIL && top != NULL && at_tail(top)) {
      continue; /* the end of a proper list */
    } else if (token.kind == EDR_ETF_STRING && top != NULL && at_tail(top)) {
      if ((decoder->spread += token.size) > reader->limits.max_count) return EDR_ELIMIT;
      append_bytes(L, top, token.data, token.size);
      continue;
    } else if ((status = push_scalar(L, t, &token, &decoder->scratch)) != EDR_OK) {
      return status;
    }
    if (depth > 0) attach(L, &open[depth - 1]);
    if (depth > 0 && token.kind == EDR_ETF_INT) {
      status = append_ints(L, decoder, &open[depth - 1]);
      if (status != EDR_OK) return status;
    }
  } while (depth > 0);
  return EDR_OK;
}

/* A term of too many parts is found before any memory is spent on it. No part is smaller than a byte. */
static edr_status count_parts(edr_etf_reader *reader) {
  const edr_etf_mark before = edr_etf_reader_mark(reader);
  edr_status status = EDR_OK;
  if (reader->size > reader->limits.max_count) status = edr_etf_skip(reader);
  edr_etf_reader_rewind(reader, &before);
  return status;
}

static int decoder_gc(lua_State *L) {
  edr_lua_decoder *decoder = lua_touserdata(L, 1);
  edr_etf_reader_deinit(&decoder->reader);
  edr_etf_keys_deinit(&decoder->keys);
  edr_buf_deinit(&decoder->scratch);
  return 0;
}

edr_lua_decoder *edr_lua_new_decoder(lua_State *L) {
  edr_lua_decoder *decoder = lua_newuserdatauv(L, sizeof *decoder, 0);
  edr_etf_reader_init(&decoder->reader, NULL, 0, NULL);
  edr_buf_init(&decoder->scratch);
  edr_etf_keys_init(&decoder->keys);
  decoder->problem = NULL;
  decoder->spread = 0;
  if (luaL_newmetatable(L, "edeliver.relup.decoder")) {
    lua_pushcfunction(L, decoder_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return decoder;
}

edr_status edr_lua_decoder_read(edr_lua_decoder *decoder, const uint8_t *data, size_t size, size_t max_parts) {
  edr_etf_reader_deinit(&decoder->reader);
  edr_etf_reader_init(&decoder->reader, data, size, NULL);
  decoder->reader.limits.max_count = max_parts;
  decoder->spread = 0;
  return count_parts(&decoder->reader);
}

size_t edr_lua_decoder_parts(const edr_lua_decoder *decoder) {
  return decoder->reader.count + decoder->spread;
}

edr_status edr_lua_decode_next(lua_State *L, edr_lua_decoder *decoder) {
  const int top = lua_gettop(L);
  edr_status status;
  edr_lua_types t;
  edr_lua_push_types(L, &t);
  edr_etf_keys_reset(&decoder->keys);
  decoder->problem = NULL;
  status = decode_one(L, &t, decoder);
  if (status != EDR_OK) return status;
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return EDR_OK;
}

edr_status edr_lua_decode(lua_State *L, const uint8_t *data, size_t size, const char **out_problem) {
  const int top = lua_gettop(L);
  edr_lua_decoder *decoder = edr_lua_new_decoder(L);
  edr_etf_reader *reader = &decoder->reader;
  edr_status status = edr_lua_decoder_read(decoder, data, size, EDR_LUA_MAX_PARTS);
  if (status == EDR_OK) status = edr_lua_decode_next(L, decoder);
  if (status == EDR_OK && !edr_etf_reader_at_end(reader)) {
    const size_t left = reader->size - reader->offset;
    status = EDR_EPROTOCOL;
    *out_problem = lua_pushfstring(L, "%I %s the term", (LUAI_UACINT)left, left == 1 ? "byte follows" : "bytes follow");
  } else if (status != EDR_OK) {
    const char *problem = decoder->problem != NULL ? decoder->problem : edr_etf_reader_problem(reader);
    *out_problem = lua_pushstring(L, problem[0] != '\0' ? problem : edr_status_text(status));
  }
  edr_etf_reader_deinit(reader);
  edr_etf_keys_deinit(&decoder->keys);
  edr_buf_deinit(&decoder->scratch);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return status;
}

/* A compressed term is read from what it expands to. */
static edr_status decode_compressed(lua_State *L, const uint8_t *bytes, size_t size, const char **out_problem) {
  edr_buf *expanded = edr_lua_new_buf(L);
  edr_status status = edr_gzip_expand_term(bytes, size, edr_etf_default_limits.max_size, expanded, out_problem);
  if (status == EDR_OK) status = edr_lua_decode(L, expanded->data + 1, expanded->size - 1, out_problem);
  edr_buf_deinit(expanded);
  return status;
}

/*** A term from the external term format, compressed or not.
@function decode
@string bytes
@return the term, or nil, message, code
*/
int edr_lua_core_decode(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size), *problem = "";
  edr_status status = EDR_EPROTOCOL;
  if (size < 1 || (uint8_t)bytes[0] != EDR_ETF_VERSION)
    return edr_lua_refused(L, status, "an external term starts with the byte 131");
  status = decode_compressed(L, (const uint8_t *)bytes, size, &problem);
  if (status == EDR_EBADARG) status = edr_lua_decode(L, (const uint8_t *)bytes + 1, size - 1, &problem);
  return status == EDR_OK ? 1 : edr_lua_refused(L, status, problem);
}
