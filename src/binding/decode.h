/* Terms from the external format, as Lua values. Knows nothing of nodes. */
#ifndef EDR_LUA_DECODE_H
#define EDR_LUA_DECODE_H

#include <lua.h>

#include "buf.h"
#include "etf.h"
#include "etf_keys.h"

/* Pushes the one term that these bytes hold or, where they are not one, the words that say why: `*out_problem` points
 * to them. The bytes must stay where they are while Lua may raise. */
edr_status edr_lua_decode(lua_State *L, const uint8_t *data, size_t size, const char **out_problem);

/* What a part becomes in Lua, two tables at worst, is up to a hundred times its bytes: this many, the most that one
 * term may have, are at most 700 MB. */
enum { EDR_LUA_MAX_PARTS = 4 * 1024 * 1024 };

/* Reads many terms with one reader's memory. */
typedef struct edr_lua_decoder {
  edr_etf_reader reader;
  edr_buf scratch;
  edr_etf_keys keys;
  const char *problem; /* what the reader has no words for, or NULL */
  size_t spread;       /* what lists of bytes in the place of a list's tail have become */
} edr_lua_decoder;

/* Pushes a userdata: a decoder that reads nothing yet. */
edr_lua_decoder *edr_lua_new_decoder(lua_State *L);

/* Has its reader read these bytes next, with the limits of terms that become Lua values: EDR_ELIMIT where they hold
 * more than `max_parts`, before any memory is spent on them. They must stay where they are. */
edr_status edr_lua_decoder_read(edr_lua_decoder *decoder, const uint8_t *data, size_t size, size_t max_parts);

/* How many parts of these bytes have been read so far, where they are one term. */
size_t edr_lua_decoder_parts(const edr_lua_decoder *decoder);

/* Pushes the next term; where it fails, there may be more on the stack than before. */
edr_status edr_lua_decode_next(lua_State *L, edr_lua_decoder *decoder);

/* core.decode(bytes) -> term | nil, message, code. */
int edr_lua_core_decode(lua_State *L);

#endif
