/* Reads a BEAM file: chunks, the md5 that OTP gives its module, atoms, exports, imports, funs, attributes, literals and
 * the instructions of its code; what none of these needs is not looked at. Fed the bytes of a whole file, which may be
 * gzipped. Knows no files, and no meaning of terms and instructions. Sources: erts "BEAM file format"; lib/compiler's
 * beam_asm, beam_lib and genop.tab; erts' beam_file.c.
 *
 * Everything is bounded by the bytes that are there. A function fails with EDR_EPROTOCOL where they are not right,
 * EDR_ELIMIT where a bound is passed, EDR_ENOTSUP where something newer than this unit comes, and EDR_ENOMEM; `problem`
 * says what. */
#ifndef EDR_BEAM_H
#define EDR_BEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "md5.h"
#include "status.h"

typedef struct edr_beam_bytes {
  const uint8_t *data; /* NULL: there is no such chunk */
  size_t size;
} edr_beam_bytes;

typedef enum edr_beam_chunk {
  EDR_BEAM_ATOM, /* Latin-1 */
  EDR_BEAM_ATU8,
  EDR_BEAM_CODE,
  EDR_BEAM_STRT,
  EDR_BEAM_IMPT,
  EDR_BEAM_EXPT,
  EDR_BEAM_FUNT,
  EDR_BEAM_LITT,
  EDR_BEAM_META,
  EDR_BEAM_ATTR,
  EDR_BEAM_CINF,
  EDR_BEAM_LOCT,
  EDR_BEAM_CHUNKS
} edr_beam_chunk;

typedef struct edr_beam {
  const uint8_t *data; /* the file's, or those of `expanded` */
  size_t size;
  edr_beam_bytes chunks[EDR_BEAM_CHUNKS];
  edr_buf expanded;
  edr_buf atoms;   /* UTF-8, terminated */
  size_t *atom_at; /* offsets in `atoms`, by index from 1; NULL until they are asked for */
  size_t atom_count;
  edr_buf literal_bytes; /* where they were compressed */
  edr_beam_bytes *literals;
  size_t literal_count;
  bool has_literals; /* read already */
  size_t max_size;
  const char *problem;
  size_t problem_at; /* the offset in the file, once inflated, where that is known; else EDR_BEAM_NOWHERE */
} edr_beam;

#define EDR_BEAM_NOWHERE SIZE_MAX

/* Opens a file's bytes, which stay the caller's and must outlive the handle. `max_size` bounds what a gzipped file, and
 * the literals, may become. On failure there is nothing to free. */
edr_status edr_beam_open(edr_beam *beam, const uint8_t *data, size_t size, size_t max_size);
void edr_beam_close(edr_beam *beam);

/* code:module_md5/1 of the file. */
void edr_beam_md5(const edr_beam *beam, uint8_t out_md5[EDR_MD5_SIZE]);

/* The atom of this index (from 1), terminated and as long as the handle is open. Number 1 is the module's name. */
edr_status edr_beam_atom(edr_beam *beam, uint32_t index, const char **out_name);

/* A function's name as three chunks have it: of exports (and locals) `third` is the label; of imports, `module` is one,
 * too. */
typedef struct edr_beam_function {
  const char *module; /* imports */
  const char *name;
  uint32_t arity;
  uint32_t label; /* exports and locals */
} edr_beam_function;

/* How many entries these chunks have; 0 where there is none. */
edr_status edr_beam_count(edr_beam *beam, edr_beam_chunk chunk, uint32_t *out_count);

/* Entry `index` (from 0) of ExpT, LocT or ImpT. */
edr_status edr_beam_entry(edr_beam *beam, edr_beam_chunk chunk, uint32_t index, edr_beam_function *out_function);

/* Entry `index` (from 0) of FunT: a fun of the module, its function and its number of free variables. */
typedef struct edr_beam_fun {
  const char *name;
  uint32_t arity, label, index, free_variables, old_uniq;
} edr_beam_fun;

edr_status edr_beam_fun_at(edr_beam *beam, uint32_t index, edr_beam_fun *out_fun);

/* The external term (with its version byte) of literal `index` (from 0). */
edr_status edr_beam_literal(edr_beam *beam, size_t index, edr_beam_bytes *out_term);

/* ---- instructions ---- */

typedef enum edr_beam_kind {
  EDR_BEAM_U,       /* value: a number that belongs to the instruction: an arity, an import's index, a size */
  EDR_BEAM_INTEGER, /* value, where it fits; else only `bytes` */
  EDR_BEAM_NAME,    /* value: an atom's index; 0 is the empty list */
  EDR_BEAM_X,       /* value: a register */
  EDR_BEAM_Y,
  EDR_BEAM_FR,
  EDR_BEAM_LABEL,
  EDR_BEAM_CHARACTER,
  EDR_BEAM_LIST,    /* value: how many operands follow that belong to it */
  EDR_BEAM_ALLOC,   /* value: how many pairs of numbers follow */
  EDR_BEAM_LITERAL, /* value: its index */
  EDR_BEAM_FLOAT
} edr_beam_kind;

typedef struct edr_beam_operand {
  edr_beam_kind kind;
  int64_t value;
  edr_beam_bytes bytes; /* of a large integer, a float: as they are */
} edr_beam_operand;

enum { EDR_BEAM_OP_LABEL = 1, EDR_BEAM_OP_FUNC_INFO = 2, EDR_BEAM_OP_INT_CODE_END = 3 };

typedef struct edr_beam_walk {
  edr_beam *beam;
  const uint8_t *at, *end;
  size_t left; /* operands of this instruction that are still to come */
} edr_beam_walk;

/* Begins at the first instruction. `out_functions` (may be NULL): how many functions the module says that it has. */
edr_status edr_beam_walk_begin(edr_beam_walk *walk, edr_beam *beam, uint32_t *out_functions);

/* The next instruction, its code in genop.tab and how many operands of it come, those in lists left out; operands of
 * the last one that were not read are passed over. EDR_EAGAIN at the end of the code. */
edr_status edr_beam_walk_next(edr_beam_walk *walk, unsigned *out_code, size_t *out_operands);

/* The next operand of this instruction; a list's elements follow it. EDR_EAGAIN where there is none. */
edr_status edr_beam_walk_operand(edr_beam_walk *walk, edr_beam_operand *out_operand);

/* ---- inside the reader: what beam.c and beam_code.c share ---- */

/* Remembers why, and gives the status back. */
edr_status edr_beam_fail(edr_beam *beam, edr_status status, const char *problem);

/* The same with the place: `at` points into the file's bytes. Elsewhere (into literals that were compressed) it is
 * none. */
edr_status edr_beam_fail_at(edr_beam *beam, edr_status status, const char *problem, const uint8_t *at);

/* Four bytes, big-endian. */
uint32_t edr_beam_u32(const uint8_t *at);

#endif
