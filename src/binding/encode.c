/* Lua values as terms; the contract is in encode.h. */
#include "encode.h"

#include <lauxlib.h>
#include <string.h>

#include "etf.h"
#include "pid_sets.h"
#include "support.h"
#include "types.h"

enum { MAX_DEPTH = 1024 + 8 /* a term that was read can be sent back inside of tuples of ours */ };

static void encode(lua_State *L, const edr_lua_types *t, int index, edr_buf *buf, int depth);

static void encode_elements(lua_State *L, const edr_lua_types *t, int index, size_t count, edr_buf *buf, int depth) {
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

static void encode_list(lua_State *L, const edr_lua_types *t, int index, edr_buf *buf, int depth) {
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
static void encode_plain(lua_State *L, const edr_lua_types *t, int index, edr_buf *buf, int depth) {
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

static void encode_map(lua_State *L, const edr_lua_types *t, int index, edr_buf *buf, int depth) {
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

static void encode_table(lua_State *L, const edr_lua_types *t, int index, edr_buf *buf, int depth) {
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

static void encode(lua_State *L, const edr_lua_types *t, int index, edr_buf *buf, int depth) {
  const edr_pids *pids;
  size_t size, i;
  const char *bytes;

  if (depth > MAX_DEPTH) luaL_error(L, "a term is nested deeper than %d, or contains itself", MAX_DEPTH);
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
  edr_lua_types t;
  index = lua_absindex(L, index);
  edr_lua_push_types(L, &t);
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
