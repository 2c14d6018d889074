/* Terms between Lua and the external term format. What a term is in Lua is said by term.lua, which hands its metatables
 * over (core.set_types); this unit fills such tables and reads them. Knows nothing of nodes. */
#include <string.h>

#include "binding.h"
#include "control.h"

enum {
  MAX_DEPTH = 1024,
  AROUND = 8 /* a term that was read can be sent back inside of tuples of ours */
};

static const char types_key; /* its address is where the registry keeps term.types */

/* Where the pieces of term.types stand on the stack while a term is read or written. */
typedef struct types {
  int atom, tuple, list, charlist, map, opaque, atoms, opaques, entries, new_atom, new_opaque;
} types;

/* And where in the table that the registry keeps. */
enum { ATOM = 1, TUPLE, LIST, CHARLIST, MAP, OPAQUE, ATOMS, OPAQUES, ENTRIES, NEW_ATOM, NEW_OPAQUE, TYPES_END };

static const char *const type_names[TYPES_END] = {[ATOM] = "atom",
                                                  [TUPLE] = "tuple",
                                                  [LIST] = "list",
                                                  [CHARLIST] = "charlist",
                                                  [MAP] = "map",
                                                  [OPAQUE] = "opaque",
                                                  [ATOMS] = "atoms",
                                                  [OPAQUES] = "opaques",
                                                  [ENTRIES] = "entries",
                                                  [NEW_ATOM] = "new_atom",
                                                  [NEW_OPAQUE] = "new_opaque"};

/*** Tells which tables, metatables and constructors terms are made with.
@function set_types
@tparam table types `term.types`
*/
int edr_lua_set_types(lua_State *L) {
  int i;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_createtable(L, TYPES_END - 1, 0);
  for (i = 1; i < TYPES_END; i++) {
    if (lua_getfield(L, 1, type_names[i]) == LUA_TNIL) luaL_error(L, "term.types lacks %s", type_names[i]);
    lua_rawseti(L, -2, i);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &types_key);
  return 0;
}

static void push_types(lua_State *L, types *out) {
  int at, i;
  luaL_checkstack(L, TYPES_END + 8, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &types_key) != LUA_TTABLE) luaL_error(L, "core.set_types was not called");
  at = lua_gettop(L);
  for (i = 1; i < TYPES_END; i++) lua_rawgeti(L, at, i);
  *out = (types){.atom = at + ATOM,
                 .tuple = at + TUPLE,
                 .list = at + LIST,
                 .charlist = at + CHARLIST,
                 .map = at + MAP,
                 .opaque = at + OPAQUE,
                 .atoms = at + ATOMS,
                 .opaques = at + OPAQUES,
                 .entries = at + ENTRIES,
                 .new_atom = at + NEW_ATOM,
                 .new_opaque = at + NEW_OPAQUE};
}

/* ---- reading ---- */

static void push_atom(lua_State *L, const types *t, const uint8_t *data, size_t size) {
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

/* The interned opaque value of these canonical bytes. */
static void push_opaque(lua_State *L, const types *t, const char *kind, const edr_buf *canonical) {
  lua_pushlstring(L, (const char *)canonical->data, canonical->size);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, t->opaques) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushvalue(L, t->new_opaque);
    lua_pushstring(L, kind);
    lua_rotate(L, -3, -1); /* function, kind, bytes */
    lua_call(L, 2, 1);
  } else {
    lua_remove(L, -2);
  }
}

static void push_charlist(lua_State *L, const types *t, const uint8_t *data, size_t size) {
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

static edr_status push_scalar(lua_State *L, const types *t, const edr_etf_token *token, edr_buf *scratch) {
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
    push_opaque(L, t, opaque_kind(token->kind), scratch);
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

/* Where an integer has come, more may. */
static void append_ints(lua_State *L, edr_etf_reader *reader, open_term *open) {
  enum { AT_ONCE = 64 };
  int64_t values[AT_ONCE];
  size_t count = AT_ONCE, i;
  while (count == AT_ONCE && open->read < open->count) {
    const size_t left = open->count - open->read;
    count = edr_etf_next_ints(reader, left < AT_ONCE ? left : AT_ONCE, values);
    for (i = 0; i < count; i++) {
      lua_pushinteger(L, values[i]);
      lua_rawseti(L, -2, (lua_Integer)++open->read);
    }
  }
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
static void finish(lua_State *L, const types *t, const open_term *open) {
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

static edr_status decode_one(lua_State *L, const types *t, edr_lua_decoder *decoder) {
  edr_etf_reader *reader = &decoder->reader;
  open_term open[MAX_DEPTH];
  size_t depth = 0;
  do {
    open_term *top = depth > 0 ? &open[depth - 1] : NULL;
    edr_etf_token token;
    edr_status status = edr_etf_next(reader, &token);
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
    if (depth > 0 && token.kind == EDR_ETF_INT) append_ints(L, reader, &open[depth - 1]);
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
  edr_buf_deinit(&decoder->scratch);
  return 0;
}

edr_lua_decoder *edr_lua_new_decoder(lua_State *L) {
  edr_lua_decoder *decoder = lua_newuserdatauv(L, sizeof *decoder, 0);
  edr_etf_reader_init(&decoder->reader, NULL, 0, NULL);
  edr_buf_init(&decoder->scratch);
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
  types t;
  push_types(L, &t);
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
  if (status == EDR_OK && !edr_etf_reader_at_end(reader)) status = EDR_EPROTOCOL;
  if (status != EDR_OK) {
    const char *problem = edr_etf_reader_problem(reader);
    *out_problem = lua_pushstring(L, problem[0] != '\0' ? problem : edr_status_text(status));
  }
  edr_etf_reader_deinit(reader);
  edr_buf_deinit(&decoder->scratch);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return status;
}

/* ---- writing ---- */

static void encode(lua_State *L, const types *t, int index, edr_buf *buf, int depth);

static void encode_elements(lua_State *L, const types *t, int index, size_t count, edr_buf *buf, int depth) {
  size_t i;
  for (i = 1; i <= count; i++) {
    lua_rawgeti(L, index, (lua_Integer)i);
    encode(L, t, lua_gettop(L), buf, depth + 1);
    lua_pop(L, 1);
  }
}

static void encode_atom(lua_State *L, int index, edr_buf *buf) {
  size_t size = 0;
  const char *name;
  lua_getfield(L, index, "name");
  name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
  if (name == NULL || !edr_etf_atom_valid(name, size)) luaL_error(L, "an atom's name is not valid");
  edr_etf_put_atom(buf, name, size);
  lua_pop(L, 1);
}

/* The code point at `*at`, which moves past it; a byte that begins none stands for itself. */
static uint32_t next_code(const uint8_t *text, size_t size, size_t *at) {
  const uint8_t first = text[(*at)++];
  int more = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  uint32_t code = more == 0 ? first : (uint32_t)(first & (0x3f >> more));
  for (; more > 0 && *at < size && (text[*at] & 0xc0) == 0x80; more--) code = code << 6 | (text[(*at)++] & 0x3f);
  return code;
}

/* A charlist is a list of code points: of bytes, where they are all below 256. */
static void encode_charlist(lua_State *L, int index, edr_buf *buf) {
  edr_buf *bytes = edr_lua_new_buf(L);
  const uint8_t *text;
  size_t size, at = 0, count = 0;
  uint32_t code, largest = 0;

  lua_pushliteral(L, "text");
  lua_rawget(L, index);
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "a charlist without text");
  text = (const uint8_t *)lua_tolstring(L, -1, &size);
  while (at < size) {
    code = next_code(text, size, &at);
    edr_buf_put_u8(bytes, (uint8_t)code);
    if (code > largest) largest = code;
    count++;
  }
  if (bytes->failed) luaL_error(L, "not enough memory to encode a term");
  if (largest < 256) {
    edr_etf_put_string(buf, bytes->data, bytes->size);
  } else {
    edr_etf_put_list(buf, count);
    for (at = 0; at < size;) edr_etf_put_int(buf, next_code(text, size, &at));
    edr_etf_put_nil(buf);
  }
  edr_buf_deinit(bytes);
  lua_pop(L, 2);
}

static void encode_list(lua_State *L, const types *t, int index, edr_buf *buf, int depth) {
  const size_t count = lua_rawlen(L, index);
  edr_etf_put_list(buf, count);
  encode_elements(L, t, index, count, buf, depth);
  lua_pushliteral(L, "tail");
  if (lua_rawget(L, index) != LUA_TNIL) {
    encode(L, t, lua_gettop(L), buf, depth + 1);
  } else {
    edr_etf_put_nil(buf);
  }
  lua_pop(L, 1);
}

/* A table without a metatable is a list: it must be a sequence. */
static void encode_plain(lua_State *L, const types *t, int index, edr_buf *buf, int depth) {
  const size_t count = lua_rawlen(L, index);
  size_t keys = 0;
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
    keys++;
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || (lua_Unsigned)lua_tointeger(L, -2) > count) {
      luaL_error(L, "a plain table is a list to Erlang: the key %s has no place in one (use term.map for maps)",
                 luaL_tolstring(L, -2, NULL));
    }
  }
  if (keys != count) luaL_error(L, "a list to Erlang cannot have holes");
  edr_etf_put_list(buf, count);
  encode_elements(L, t, index, count, buf, depth);
  edr_etf_put_nil(buf);
}

static void encode_map(lua_State *L, const types *t, int index, edr_buf *buf, int depth) {
  size_t count;
  lua_pushvalue(L, t->entries);
  if (lua_rawget(L, index) != LUA_TTABLE) luaL_error(L, "a map without entries");
  count = lua_rawlen(L, -1);
  if (count % 2 != 0) luaL_error(L, "a map with a key and no value");
  edr_etf_put_map(buf, count / 2);
  encode_elements(L, t, lua_gettop(L), count, buf, depth);
  lua_pop(L, 1);
}

static void encode_opaque(lua_State *L, int index, edr_buf *buf) {
  size_t size;
  const char *etf;
  lua_getfield(L, index, "etf");
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "an opaque term without its bytes");
  etf = lua_tolstring(L, -1, &size);
  edr_buf_append(buf, etf, size);
  lua_pop(L, 1);
}

static void encode_table(lua_State *L, const types *t, int index, edr_buf *buf, int depth) {
  int metatable;
  if (!lua_getmetatable(L, index)) {
    encode_plain(L, t, index, buf, depth);
    return;
  }
  metatable = lua_gettop(L);
  if (lua_rawequal(L, metatable, t->atom)) {
    encode_atom(L, index, buf);
  } else if (lua_rawequal(L, metatable, t->tuple)) {
    const size_t arity = lua_rawlen(L, index);
    edr_etf_put_tuple(buf, arity);
    encode_elements(L, t, index, arity, buf, depth);
  } else if (lua_rawequal(L, metatable, t->list)) {
    encode_list(L, t, index, buf, depth);
  } else if (lua_rawequal(L, metatable, t->charlist)) {
    encode_charlist(L, index, buf);
  } else if (lua_rawequal(L, metatable, t->map)) {
    encode_map(L, t, index, buf, depth);
  } else if (lua_rawequal(L, metatable, t->opaque)) {
    encode_opaque(L, index, buf);
  } else {
    luaL_error(L, "this table is no Erlang term: it has a metatable of its own");
  }
  lua_pop(L, 1);
}

static void encode(lua_State *L, const types *t, int index, edr_buf *buf, int depth) {
  const edr_pids *pids;
  size_t size, i;
  const char *bytes;

  if (depth > MAX_DEPTH + AROUND) luaL_error(L, "a term is nested deeper than %d, or contains itself", MAX_DEPTH);
  luaL_checkstack(L, 8, "a term is nested too deeply");
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    bytes = lua_tolstring(L, index, &size);
    edr_etf_put_binary(buf, bytes, size);
    return;
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, index))
      edr_etf_put_atom(buf, "true", 4);
    else
      edr_etf_put_atom(buf, "false", 5);
    return;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      edr_etf_put_int(buf, lua_tointeger(L, index));
    } else {
      const lua_Number real = lua_tonumber(L, index);
      if (real - real != 0) luaL_error(L, "Erlang has no float for %f", real);
      edr_etf_put_float(buf, real);
    }
    return;
  case LUA_TTABLE:
    encode_table(L, t, index, buf, depth);
    return;
  case LUA_TUSERDATA:
    if ((pids = edr_lua_test_pids(L, index)) != NULL) {
      edr_etf_put_list(buf, pids->count);
      for (i = 0; i < pids->count; i++) edr_pids_put(buf, pids, i);
      edr_etf_put_nil(buf);
      return;
    }
    /* fall through */
  default:
    luaL_error(L, "a %s is no Erlang term", luaL_typename(L, index));
  }
}

void edr_lua_encode(lua_State *L, int index, edr_buf *buf) {
  const int top = lua_gettop(L);
  types t;
  index = lua_absindex(L, index);
  push_types(L, &t);
  encode(L, &t, index, buf, 0);
  if (buf->failed) luaL_error(L, "not enough memory to encode a term");
  lua_settop(L, top);
}

/*** A term in the external term format.
@function encode
@param term
@return a string of bytes
*/
int edr_lua_core_encode(lua_State *L) {
  edr_buf *buf = edr_lua_new_buf(L);
  luaL_checkany(L, 1);
  edr_etf_put_version(buf);
  edr_lua_encode(L, 1, buf);
  lua_pushlstring(L, (const char *)buf->data, buf->size);
  edr_buf_deinit(buf);
  return 1;
}

/*** A term from the external term format.
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
  status = edr_lua_decode(L, (const uint8_t *)bytes + 1, size - 1, &problem);
  return status == EDR_OK ? 1 : edr_lua_refused(L, status, problem);
}

/* ---- pids and references on their own ---- */

/* The bytes of an opaque value of that kind; NULL where the value is another. They belong to the value. The stack is
 * left to the caller to clear. */
static const uint8_t *opaque_bytes(lua_State *L, int index, const char *kind, size_t *out_size) {
  const char *etf = NULL;
  const char *its_kind;
  index = lua_absindex(L, index);
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &types_key) == LUA_TTABLE && lua_rawgeti(L, -1, OPAQUE) == LUA_TTABLE &&
      lua_rawequal(L, -1, -3)) {
    lua_getfield(L, index, "kind");
    its_kind = lua_tostring(L, -1);
    if (its_kind != NULL && strcmp(its_kind, kind) == 0) {
      lua_getfield(L, index, "etf");
      etf = lua_tolstring(L, -1, out_size);
    }
  }
  return (const uint8_t *)etf;
}

bool edr_lua_to_pid(lua_State *L, int index, edr_pid *out_pid) {
  const int top = lua_gettop(L);
  size_t size = 0;
  const uint8_t *bytes = opaque_bytes(L, index, "pid", &size);
  const bool is = bytes != NULL && edr_slice_pid((edr_slice){bytes, size}, out_pid) == EDR_OK;
  lua_settop(L, top);
  return is;
}

bool edr_lua_to_ref(lua_State *L, int index, edr_ref *out_ref) {
  const int top = lua_gettop(L);
  size_t size = 0;
  const uint8_t *bytes = opaque_bytes(L, index, "ref", &size);
  const bool is = bytes != NULL && edr_slice_ref((edr_slice){bytes, size}, out_ref) == EDR_OK;
  lua_settop(L, top);
  return is;
}

static void push_built(lua_State *L, const char *kind, edr_buf *canonical) {
  const int top = lua_gettop(L);
  types t;
  if (canonical->failed) luaL_error(L, "not enough memory");
  push_types(L, &t);
  push_opaque(L, &t, kind, canonical);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void edr_lua_push_pid(lua_State *L, const edr_pid *pid) {
  edr_buf *buf = edr_lua_new_buf(L);
  edr_etf_put_pid(buf, pid);
  push_built(L, "pid", buf);
  edr_buf_deinit(buf);
  lua_remove(L, -2);
}

void edr_lua_push_ref(lua_State *L, const edr_ref *ref) {
  edr_buf *buf = edr_lua_new_buf(L);
  edr_etf_put_ref(buf, ref);
  push_built(L, "ref", buf);
  edr_buf_deinit(buf);
  lua_remove(L, -2);
}
