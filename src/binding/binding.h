/* What the units of the binding share: errors as Lua sees them, and boxes that free what C owns when Lua raises.
 * The binding is the only C that sees lua.h. */
#ifndef EDR_BINDING_H
#define EDR_BINDING_H

#include <lauxlib.h>
#include <lua.h>

#include "buf.h"
#include "etf.h"
#include "pids.h"
#include "status.h"

/* Returns nil, message, code. */
int edr_lua_refused(lua_State *L, edr_status status, const char *message);

/* The milliseconds at `index`, where math.huge is forever, as a deadline; `fallback_ms` where it is nil or none. Raises
 * for anything else, also for a negative number. */
int64_t edr_lua_check_deadline(lua_State *L, int index, lua_Integer fallback_ms);

/* Pushes a userdata that owns a buffer, and frees it when it is collected; edr_buf_deinit may free it earlier. */
edr_buf *edr_lua_new_buf(lua_State *L);

/* ---- terms.c: terms between Lua and the external format ---- */

/* core.set_types(term.types): hands over the metatables of terms. Must have been called before any of the others. */
int edr_lua_set_types(lua_State *L);

/* Appends the value at `index` as one term. Raises where it is no term. `buf` must be boxed. */
void edr_lua_encode(lua_State *L, int index, edr_buf *buf);

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
  size_t spread; /* what lists of bytes in the place of a list's tail have become */
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

/* core.encode(term) -> bytes with the version byte; core.decode(bytes) -> term | nil, message, code. */
int edr_lua_core_encode(lua_State *L);
int edr_lua_core_decode(lua_State *L);

/* Reads the pid at `index`; false where it is none. */
bool edr_lua_to_pid(lua_State *L, int index, edr_pid *out_pid);
void edr_lua_push_pid(lua_State *L, const edr_pid *pid);
void edr_lua_push_ref(lua_State *L, const edr_ref *ref);
bool edr_lua_to_ref(lua_State *L, int index, edr_ref *out_ref);

/* ---- pids.c: pid sets ---- */

#define EDR_LUA_PIDS "edeliver.relup.pids"

void edr_lua_pids_setup(lua_State *L);

/* Pushes an empty pid set. */
edr_pids *edr_lua_new_pids(lua_State *L);

/* Tells the collector what a set that was just filled takes up outside of Lua, so that dropped sets do not pile up. */
void edr_lua_pids_filled(lua_State *L, const edr_pids *pids);

/* The pid set at `index`, or NULL. */
edr_pids *edr_lua_test_pids(lua_State *L, int index);

/* The pid set at `index`, or one made from a plain list of pids or a single pid, which then replaces it on the stack.
 * Raises for anything else. `index` must be absolute. */
edr_pids *edr_lua_check_pids(lua_State *L, int index);

/* core.pids(list) */
int edr_lua_core_pids(lua_State *L);

/* ---- node.c ---- */

void edr_lua_node_setup(lua_State *L);

/* core.connect(options) */
int edr_lua_core_connect(lua_State *L);

/* ---- signals.c ---- */

/* core.catch_signals(), core.block_signals(), core.let_signals_through(), core.take_signal(), core.release_signals() */
int edr_lua_catch_signals(lua_State *L);
int edr_lua_block_signals(lua_State *L);
int edr_lua_let_signals_through(lua_State *L);
int edr_lua_take_signal(lua_State *L);
int edr_lua_release_signals(lua_State *L);

/* ---- sync.c ---- */

/* core.sync(file) */
int edr_lua_sync(lua_State *L);

/* ---- file.c ---- */

/* core.replace_file(path, text, backup, expected) */
int edr_lua_replace_file(lua_State *L);

/* ---- open_file.c ---- */

/* core.open_private(path, mode), core.open_plain(path), core.file_stat(file) */
int edr_lua_open_private(lua_State *L);
int edr_lua_open_plain(lua_State *L);
int edr_lua_file_stat(lua_State *L);

#endif
