#include "beam_file.h"

#include <string.h>

#include "beam.h"
#include "decode.h"
#include "support.h"

#define BEAM "edeliver.relup.beam"

enum { MAX_SIZE = 64 << 20 }; /* bytes of what was compressed */

/* Its user value keeps the bytes. */
typedef struct box {
  edr_beam beam;
  bool is_open;
} box;

static int beam_gc(lua_State *L) {
  box *self = luaL_checkudata(L, 1, BEAM);
  if (self->is_open) edr_beam_close(&self->beam);
  self->is_open = false;
  return 0;
}

static edr_beam *check_open(lua_State *L) {
  box *self = luaL_checkudata(L, 1, BEAM);
  if (!self->is_open) luaL_argerror(L, 1, "the file is closed");
  return &self->beam;
}

int edr_lua_beam_refused(lua_State *L, const edr_beam *beam, edr_status status) {
  const char *problem = beam->problem == NULL ? edr_status_text(status) : beam->problem;
  if (beam->problem_at == EDR_BEAM_NOWHERE) return edr_lua_refused(L, status, problem);
  return edr_lua_refused(L, status, lua_pushfstring(L, "%s, at byte %I", problem, (LUAI_UACINT)beam->problem_at));
}

/*** A compiled module, from the bytes of its file; they may be gzipped.
@function beam
@string bytes
@return a file with the methods below; or nil, message, code
*/
int edr_lua_beam(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  box *self = lua_newuserdatauv(L, sizeof *self, 1);
  edr_status status;
  self->is_open = false;
  luaL_setmetatable(L, BEAM);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  status = edr_beam_open(&self->beam, (const uint8_t *)bytes, size, MAX_SIZE);
  if (status != EDR_OK) return edr_lua_beam_refused(L, &self->beam, status);
  self->is_open = true;
  return 1;
}

/*** The md5 that OTP gives the module: equal where the code is.
@function file:md5
@treturn string 32 hexadecimal digits
*/
static int beam_md5(lua_State *L) {
  uint8_t md5[EDR_MD5_SIZE];
  edr_beam_md5(check_open(L), md5);
  edr_lua_push_hex(L, md5, sizeof md5);
  return 1;
}

/*** The module's name.
@function file:module
@treturn string; or nil, message, code
*/
static int beam_module(lua_State *L) {
  edr_beam *beam = check_open(L);
  const char *name;
  edr_status status = edr_beam_atom(beam, 1, &name);
  if (status != EDR_OK) return edr_lua_beam_refused(L, beam, status);
  lua_pushstring(L, name);
  return 1;
}

static int push_table(lua_State *L, edr_beam_chunk chunk) {
  edr_beam *beam = check_open(L);
  edr_beam_function function;
  uint32_t count;
  edr_status status = edr_beam_count(beam, chunk, &count);
  lua_newtable(L);
  for (uint32_t i = 0; status == EDR_OK && i < count; i++) {
    status = edr_beam_entry(beam, chunk, i, &function);
    if (status != EDR_OK) break;
    if (function.module == NULL) {
      lua_pushfstring(L, "%s/%d", function.name, (int)function.arity);
    } else {
      lua_pushfstring(L, "%s:%s/%d", function.module, function.name, (int)function.arity);
    }
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return status == EDR_OK ? 1 : edr_lua_beam_refused(L, beam, status);
}

/*** The functions that the module exports.
@function file:exports
@treturn table a list of "name/arity"; or nil, message, code
*/
static int beam_exports(lua_State *L) {
  return push_table(L, EDR_BEAM_EXPT);
}

/*** The functions of other modules that it calls.
@function file:imports
@treturn table a list of "module:name/arity", in the order that instructions name them by; or nil, message, code
*/
static int beam_imports(lua_State *L) {
  return push_table(L, EDR_BEAM_IMPT);
}

/*** The functions that it keeps to itself, where that was not stripped.
@function file:locals
@treturn table a list of "name/arity"; or nil, message, code
*/
static int beam_locals(lua_State *L) {
  return push_table(L, EDR_BEAM_LOCT);
}

static int push_term(lua_State *L, edr_beam *beam, edr_beam_bytes term) {
  const char *problem = "";
  edr_status status = EDR_EPROTOCOL;
  if (term.size < 1 || term.data[0] != EDR_ETF_VERSION)
    return edr_lua_refused(L, status, "a term of the file begins with another byte than 131");
  status = edr_lua_decode(L, term.data + 1, term.size - 1, &problem);
  (void)beam;
  return status == EDR_OK ? 1 : edr_lua_refused(L, status, problem);
}

/*** The module's attributes: what `module_info(attributes)` gives.
@function file:attributes
@return a term, the atom `undefined` where the file has none; or nil, message, code
*/
static int beam_attributes(lua_State *L) {
  edr_beam *beam = check_open(L);
  static const uint8_t nothing[] = {EDR_ETF_VERSION, 106};
  edr_beam_bytes chunk = beam->chunks[EDR_BEAM_ATTR];
  if (chunk.data == NULL) chunk = (edr_beam_bytes){nothing, sizeof nothing};
  return push_term(L, beam, chunk);
}

/*** One of the module's literals.
@function file:literal
@int index from 0, as instructions name them
@return the term; or nil, message, code
*/
static int beam_literal(lua_State *L) {
  edr_beam *beam = check_open(L);
  const lua_Integer index = luaL_checkinteger(L, 2);
  edr_beam_bytes term;
  edr_status status = index < 0 ? EDR_EBADARG : edr_beam_literal(beam, (size_t)index, &term);
  return status == EDR_OK ? push_term(L, beam, term) : edr_lua_beam_refused(L, beam, status);
}

/*** How many literals the module has.
@function file:literals
@treturn integer; or nil, message, code
*/
static int beam_literals(lua_State *L) {
  edr_beam *beam = check_open(L);
  edr_beam_bytes term;
  edr_status status = beam->chunks[EDR_BEAM_LITT].data == NULL ? EDR_OK : edr_beam_literal(beam, 0, &term);
  if (status != EDR_OK && beam->literals == NULL) return edr_lua_beam_refused(L, beam, status);
  lua_pushinteger(L, (lua_Integer)beam->literal_count);
  return 1;
}

/*** The funs that the module makes.
@function file:funs
@treturn table a list, in the order that instructions name them by, of `{name =, arity =, index =, free =, old_uniq =}`;
or nil, message, code
*/
static int beam_funs(lua_State *L) {
  edr_beam *beam = check_open(L);
  edr_beam_fun fun;
  uint32_t count;
  edr_status status = edr_beam_count(beam, EDR_BEAM_FUNT, &count);
  lua_newtable(L);
  for (uint32_t i = 0; status == EDR_OK && i < count; i++) {
    status = edr_beam_fun_at(beam, i, &fun);
    if (status != EDR_OK) break;
    lua_createtable(L, 0, 5);
    lua_pushstring(L, fun.name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, (lua_Integer)fun.arity);
    lua_setfield(L, -2, "arity");
    lua_pushinteger(L, (lua_Integer)fun.index);
    lua_setfield(L, -2, "index");
    lua_pushinteger(L, (lua_Integer)fun.free_variables);
    lua_setfield(L, -2, "free");
    lua_pushinteger(L, (lua_Integer)fun.old_uniq);
    lua_setfield(L, -2, "old_uniq");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return status == EDR_OK ? 1 : edr_lua_beam_refused(L, beam, status);
}

/* ---- instructions ---- */

/* {kind, value}: of an atom, its name. */
static edr_status push_operand(lua_State *L, edr_beam *beam, const edr_beam_operand *operand) {
  static const char *const kinds[] = {"u", "integer", "atom", "x",     "y",       "fr",
                                      "f", "char",    "list", "alloc", "literal", "float"};
  const char *name;
  edr_status status;

  lua_createtable(L, 2, 0);
  lua_pushstring(L, kinds[operand->kind]);
  lua_rawseti(L, -2, 1);
  if (operand->kind == EDR_BEAM_NAME && operand->value != 0) {
    status = edr_beam_atom(beam, operand->value > UINT32_MAX ? 0 : (uint32_t)operand->value, &name);
    if (status != EDR_OK) return status;
    lua_pushstring(L, name);
  } else if (operand->kind == EDR_BEAM_NAME) {
    lua_pushboolean(L, 0); /* the empty list */
  } else if (operand->bytes.size > 8 || operand->kind == EDR_BEAM_FLOAT) {
    lua_pushlstring(L, (const char *)operand->bytes.data, operand->bytes.size);
  } else {
    lua_pushinteger(L, (lua_Integer)operand->value);
  }
  lua_rawseti(L, -2, 2);
  return EDR_OK;
}

/* The instruction that the walk has just come to, as a list: its code, and its operands; those of a list follow it. */
static edr_status push_instruction(lua_State *L, edr_beam_walk *walk, unsigned code) {
  edr_beam_operand operand;
  edr_status status;
  lua_Integer count = 1;

  lua_createtable(L, 4, 0);
  lua_pushinteger(L, (lua_Integer)code);
  lua_rawseti(L, -2, 1);
  while ((status = edr_beam_walk_operand(walk, &operand)) == EDR_OK) {
    status = push_operand(L, walk->beam, &operand);
    if (status != EDR_OK) return status;
    lua_rawseti(L, -2, ++count);
  }
  return status == EDR_EAGAIN ? EDR_OK : status;
}

/* Reads on to the next func_info. EDR_EAGAIN where there is none. */
static edr_status next_function(edr_beam_walk *walk, const char **out_name, lua_Integer *out_arity) {
  for (;;) {
    edr_beam_operand module, function, number;
    size_t operands;
    unsigned code;
    edr_status status = edr_beam_walk_next(walk, &code, &operands);
    if (status != EDR_OK) return status;
    if (code != EDR_BEAM_OP_FUNC_INFO) continue;
    if ((status = edr_beam_walk_operand(walk, &module)) != EDR_OK ||
        (status = edr_beam_walk_operand(walk, &function)) != EDR_OK ||
        (status = edr_beam_walk_operand(walk, &number)) != EDR_OK)
      return status;
    if (function.kind != EDR_BEAM_NAME) continue;
    *out_arity = (lua_Integer)number.value;
    return edr_beam_atom(walk->beam, function.value > UINT32_MAX ? 0 : (uint32_t)function.value, out_name);
  }
}

/* Reads on to the function's func_info. EDR_EAGAIN where there is none. */
static edr_status find_function(edr_beam_walk *walk, const char *name, lua_Integer arity) {
  for (;;) {
    const char *found;
    lua_Integer number;
    edr_status status = next_function(walk, &found, &number);
    if (status != EDR_OK || (number == arity && strcmp(found, name) == 0)) return status;
  }
}

/*** The functions that the module has, those that it keeps to itself among them.
@function file:functions
@treturn table from each label that calls name to `"name/arity"`; or nil, message, code
*/
static int beam_functions(lua_State *L) {
  edr_beam *beam = check_open(L);
  edr_beam_walk walk;
  const char *name;
  lua_Integer arity;
  edr_status status = edr_beam_walk_begin(&walk, beam, NULL);

  lua_newtable(L);
  while (status == EDR_OK && (status = next_function(&walk, &name, &arity)) == EDR_OK) {
    edr_beam_operand label = {.kind = EDR_BEAM_X};
    size_t operands;
    unsigned code = 0;
    while (status == EDR_OK && code != EDR_BEAM_OP_LABEL) status = edr_beam_walk_next(&walk, &code, &operands);
    if (status == EDR_OK) status = edr_beam_walk_operand(&walk, &label);
    if (status != EDR_OK) break;
    lua_pushfstring(L, "%s/%d", name, (int)arity);
    lua_rawseti(L, -2, (lua_Integer)label.value);
  }
  return status == EDR_EAGAIN ? 1 : edr_lua_beam_refused(L, beam, status);
}

/*** The instructions of one function, from the label behind its func_info on.
@function file:code
@string name
@int arity
@treturn[1] table a list of instructions: `{code in genop.tab, operand, ...}`, where an operand is `{kind, value}` and
kind is "u", "integer", "atom" (the value: its name, false for the empty list), "x", "y", "fr", "f" (a label), "char",
"list" (the value: how many of the operands that follow are its elements), "alloc", "literal" (its index), "float"
@return[2] false where there is no such function
@return[3] nil, message, code
*/
static int beam_code(lua_State *L) {
  edr_beam *beam = check_open(L);
  const char *name = luaL_checkstring(L, 2);
  const lua_Integer arity = luaL_checkinteger(L, 3);
  lua_Integer count = 0;
  edr_beam_walk walk;
  size_t operands;
  unsigned code;
  edr_status status = edr_beam_walk_begin(&walk, beam, NULL);

  if (status == EDR_OK) status = find_function(&walk, name, arity);
  if (status == EDR_EAGAIN) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_newtable(L);
  while (status == EDR_OK) {
    status = edr_beam_walk_next(&walk, &code, &operands);
    if (status != EDR_OK || code == EDR_BEAM_OP_FUNC_INFO || code == EDR_BEAM_OP_INT_CODE_END) break;
    status = push_instruction(L, &walk, code);
    if (status == EDR_OK) lua_rawseti(L, -2, ++count);
  }
  return status == EDR_OK || status == EDR_EAGAIN ? 1 : edr_lua_beam_refused(L, beam, status);
}

void edr_lua_beam_setup(lua_State *L) {
  static const luaL_Reg methods[] = {{"md5", beam_md5},
                                     {"module", beam_module},
                                     {"exports", beam_exports},
                                     {"imports", beam_imports},
                                     {"locals", beam_locals},
                                     {"attributes", beam_attributes},
                                     {"literal", beam_literal},
                                     {"literals", beam_literals},
                                     {"funs", beam_funs},
                                     {"code", beam_code},
                                     {"functions", beam_functions},
                                     {"close", beam_gc},
                                     {NULL, NULL}};
  edr_lua_new_class(L, BEAM, beam_gc, methods);
}
