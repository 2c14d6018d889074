#include "beam.h"

#include <stdlib.h>
#include <string.h>

#include "gzip.h"

#define MAX_ATOMS ((size_t)1 << 20) /* what a VM can have */

edr_status edr_beam_fail(edr_beam *beam, edr_status status, const char *problem) {
  beam->problem = problem;
  beam->problem_at = EDR_BEAM_NOWHERE;
  return status;
}

edr_status edr_beam_fail_at(edr_beam *beam, edr_status status, const char *problem, const uint8_t *at) {
  const uintptr_t begin = (uintptr_t)beam->data, place = (uintptr_t)at;
  edr_beam_fail(beam, status, problem);
  if (at != NULL && place >= begin && place - begin <= beam->size) beam->problem_at = (size_t)(place - begin);
  return status;
}

uint32_t edr_beam_u32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- chunks ---- */

static const char names[EDR_BEAM_CHUNKS][5] = {"Atom", "AtU8", "Code", "StrT", "ImpT", "ExpT",
                                               "FunT", "LitT", "Meta", "Attr", "CInf", "LocT"};

/* Of chunks of the same name the last one counts, as it does for OTP. */
static edr_status read_chunks(edr_beam *beam) {
  size_t at = 12, end;

  if (beam->size < 12 || memcmp(beam->data, "FOR1", 4) != 0 || memcmp(beam->data + 8, "BEAM", 4) != 0)
    return edr_beam_fail_at(beam, EDR_EPROTOCOL, "it is no BEAM file", beam->data);
  if (edr_beam_u32(beam->data + 4) < 4 || edr_beam_u32(beam->data + 4) > beam->size - 8)
    return edr_beam_fail_at(beam, EDR_EPROTOCOL, "the file is cut short", beam->data + beam->size);
  end = 8 + edr_beam_u32(beam->data + 4);
  while (at < end) {
    const uint8_t *chunk = beam->data + at;
    size_t size, padded;
    if (end - at < 8) return edr_beam_fail_at(beam, EDR_EPROTOCOL, "the file is cut short", chunk);
    size = edr_beam_u32(chunk + 4);
    if (size > end - at - 8) return edr_beam_fail_at(beam, EDR_EPROTOCOL, "a chunk is cut short", chunk);
    for (size_t i = 0; i < EDR_BEAM_CHUNKS; i++)
      if (memcmp(chunk, names[i], 4) == 0) beam->chunks[i] = (edr_beam_bytes){chunk + 8, size};
    padded = (size + 3) / 4 * 4;
    at += 8 + (padded > end - at - 8 ? size : padded);
  }
  return EDR_OK;
}

edr_status edr_beam_open(edr_beam *beam, const uint8_t *data, size_t size, size_t max_size) {
  edr_status status = EDR_OK;

  memset(beam, 0, sizeof *beam);
  beam->data = data;
  beam->size = size;
  beam->max_size = max_size;
  beam->problem_at = EDR_BEAM_NOWHERE;
  if (edr_gzip_begins(data, size)) {
    status = edr_gzip_expand(EDR_GZIP, data, size, max_size, &beam->expanded, &beam->problem);
    beam->data = beam->expanded.data;
    beam->size = beam->expanded.size;
  }
  if (status == EDR_OK) status = read_chunks(beam);
  if (status != EDR_OK) {
    const char *problem = beam->problem;
    const size_t place = beam->problem_at;
    edr_beam_close(beam);
    beam->problem = problem;
    beam->problem_at = place;
  }
  return status;
}

void edr_beam_close(edr_beam *beam) {
  edr_buf_deinit(&beam->expanded);
  edr_buf_deinit(&beam->atoms);
  edr_buf_deinit(&beam->literal_bytes);
  free(beam->atom_at);
  free(beam->literals);
  memset(beam, 0, sizeof *beam);
}

/* ---- md5 ---- */

/* The last word of each entry of FunT is its old unique number, which is made of the code itself: OTP takes it for 0.
 */
static void add_funs(edr_md5 *md5, const edr_beam_bytes *chunk) {
  static const uint8_t zero[4];
  size_t at = chunk->size < 4 ? chunk->size : 4;

  edr_md5_add(md5, chunk->data, at);
  for (; chunk->size - at >= 24; at += 24) {
    edr_md5_add(md5, chunk->data + at, 20);
    edr_md5_add(md5, zero, sizeof zero);
  }
  edr_md5_add(md5, chunk->data + at, chunk->size - at);
}

void edr_beam_md5(const edr_beam *beam, uint8_t out_md5[EDR_MD5_SIZE]) {
  static const edr_beam_chunk counted[] = {EDR_BEAM_ATOM, EDR_BEAM_ATU8, EDR_BEAM_CODE, EDR_BEAM_STRT, EDR_BEAM_IMPT,
                                           EDR_BEAM_EXPT, EDR_BEAM_FUNT, EDR_BEAM_LITT, EDR_BEAM_META};
  edr_md5 md5;
  edr_md5_init(&md5);
  for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
    const edr_beam_bytes *chunk = &beam->chunks[counted[i]];
    if (chunk->data == NULL) continue;
    if (counted[i] == EDR_BEAM_FUNT) {
      add_funs(&md5, chunk);
    } else {
      edr_md5_add(&md5, chunk->data, chunk->size);
    }
  }
  edr_md5_end(&md5, out_md5);
}

/* ---- atoms ---- */

static void append_latin1(edr_buf *buf, const uint8_t *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (text[i] >= 0x80) edr_buf_put_u8(buf, (uint8_t)(0xC0 | text[i] >> 6));
    edr_buf_put_u8(buf, text[i] < 0x80 ? text[i] : (uint8_t)(0x80 | (text[i] & 0x3F)));
  }
}

/* A length in one byte or, from OTP 28 on, in the compact form of numbers: four bits, or eleven. */
static bool read_length(const uint8_t **at, const uint8_t *end, bool is_compact, size_t *out_length) {
  uint8_t first;
  if (*at == end) return false;
  first = *(*at)++;
  if (!is_compact) {
    *out_length = first;
  } else if ((first & 0x08) == 0) {
    *out_length = first >> 4;
  } else {
    if ((first & 0x10) != 0 || *at == end) return false;
    *out_length = (size_t)(first & 0xE0) << 3 | *(*at)++;
  }
  return *out_length <= (size_t)(end - *at);
}

static edr_status fill_atoms(edr_beam *beam, const edr_beam_bytes *chunk, size_t count, bool is_compact, bool is_utf8) {
  const uint8_t *at = chunk->data + 4, *const end = chunk->data + chunk->size;

  for (size_t i = 1; i <= count; i++) {
    size_t length;
    if (!read_length(&at, end, is_compact, &length) || memchr(at, 0, length) != NULL)
      return edr_beam_fail_at(beam, EDR_EPROTOCOL, "its atoms are damaged", at);
    beam->atom_at[i] = beam->atoms.size;
    if (is_utf8) {
      edr_buf_append(&beam->atoms, at, length);
    } else {
      append_latin1(&beam->atoms, at, length);
    }
    edr_buf_put_u8(&beam->atoms, 0);
    at += length;
  }
  return beam->atoms.failed ? edr_beam_fail(beam, EDR_ENOMEM, "out of memory") : EDR_OK;
}

static edr_status read_atoms(edr_beam *beam) {
  const bool is_utf8 = beam->chunks[EDR_BEAM_ATU8].data != NULL;
  const edr_beam_bytes *chunk = &beam->chunks[is_utf8 ? EDR_BEAM_ATU8 : EDR_BEAM_ATOM];
  uint32_t bits;
  bool is_compact;
  size_t count;
  edr_status status;

  if (beam->atom_at != NULL) return EDR_OK;
  if (chunk->data == NULL || chunk->size < 4)
    return edr_beam_fail_at(beam, EDR_EPROTOCOL, "it has no atoms", chunk->data);
  bits = edr_beam_u32(chunk->data);
  is_compact = is_utf8 && (bits & 0x80000000u) != 0; /* a negative count */
  count = is_compact ? (size_t)(~bits + 1u) : bits;
  if (count > chunk->size - 4) return edr_beam_fail_at(beam, EDR_EPROTOCOL, "its atoms are cut short", chunk->data);
  if (count > MAX_ATOMS) return edr_beam_fail_at(beam, EDR_ELIMIT, "it has too many atoms", chunk->data);
  beam->atom_at = calloc(count + 1, sizeof *beam->atom_at);
  if (beam->atom_at == NULL) return edr_beam_fail(beam, EDR_ENOMEM, "out of memory");
  status = fill_atoms(beam, chunk, count, is_compact, is_utf8);
  if (status == EDR_OK) {
    beam->atom_count = count;
  } else {
    free(beam->atom_at);
    beam->atom_at = NULL;
    edr_buf_clear(&beam->atoms);
  }
  return status;
}

edr_status edr_beam_atom(edr_beam *beam, uint32_t index, const char **out_name) {
  edr_status status = read_atoms(beam);
  if (status != EDR_OK) return status;
  if (index < 1 || index > beam->atom_count)
    return edr_beam_fail(beam, EDR_EPROTOCOL, "it names an atom that it has not");
  *out_name = (const char *)beam->atoms.data + beam->atom_at[index];
  return EDR_OK;
}

/* ---- tables of functions: a count, and entries of three words, or six ---- */

static size_t entry_size(edr_beam_chunk chunk) {
  return chunk == EDR_BEAM_FUNT ? 24 : 12;
}

edr_status edr_beam_count(edr_beam *beam, edr_beam_chunk chunk, uint32_t *out_count) {
  const edr_beam_bytes *bytes = &beam->chunks[chunk];
  if (bytes->data == NULL) {
    *out_count = 0;
    return EDR_OK;
  }
  if (bytes->size < 4 || edr_beam_u32(bytes->data) > (bytes->size - 4) / entry_size(chunk))
    return edr_beam_fail_at(beam, EDR_EPROTOCOL, "a table of functions is cut short", bytes->data);
  *out_count = edr_beam_u32(bytes->data);
  return EDR_OK;
}

static edr_status find_entry(edr_beam *beam, edr_beam_chunk chunk, uint32_t index, const uint8_t **out_at) {
  uint32_t count;
  edr_status status = edr_beam_count(beam, chunk, &count);
  if (status != EDR_OK) return status;
  if (index >= count) return edr_beam_fail(beam, EDR_EBADARG, "there is no such function");
  *out_at = beam->chunks[chunk].data + 4 + index * entry_size(chunk);
  return EDR_OK;
}

edr_status edr_beam_entry(edr_beam *beam, edr_beam_chunk chunk, uint32_t index, edr_beam_function *out_function) {
  edr_beam_function function = {.module = NULL};
  const uint8_t *at;
  edr_status status = find_entry(beam, chunk, index, &at);

  if (status != EDR_OK) return status;
  if (chunk == EDR_BEAM_IMPT) {
    status = edr_beam_atom(beam, edr_beam_u32(at), &function.module);
    if (status == EDR_OK) status = edr_beam_atom(beam, edr_beam_u32(at + 4), &function.name);
    function.arity = edr_beam_u32(at + 8);
  } else {
    status = edr_beam_atom(beam, edr_beam_u32(at), &function.name);
    function.arity = edr_beam_u32(at + 4);
    function.label = edr_beam_u32(at + 8);
  }
  if (status == EDR_OK && function.arity > 255)
    status = edr_beam_fail_at(beam, EDR_EPROTOCOL, "an impossible arity", at);
  if (status == EDR_OK) *out_function = function;
  return status;
}

edr_status edr_beam_fun_at(edr_beam *beam, uint32_t index, edr_beam_fun *out_fun) {
  edr_beam_fun fun;
  const uint8_t *at;
  edr_status status = find_entry(beam, EDR_BEAM_FUNT, index, &at);

  if (status == EDR_OK) status = edr_beam_atom(beam, edr_beam_u32(at), &fun.name);
  if (status != EDR_OK) return status;
  fun.arity = edr_beam_u32(at + 4);
  fun.label = edr_beam_u32(at + 8);
  fun.index = edr_beam_u32(at + 12);
  fun.free_variables = edr_beam_u32(at + 16);
  fun.old_uniq = edr_beam_u32(at + 20);
  *out_fun = fun;
  return EDR_OK;
}

/* ---- literals ---- */

static edr_status split_literals(edr_beam *beam, const uint8_t *at, size_t left) {
  uint32_t count;

  if (left < 4) return edr_beam_fail_at(beam, EDR_EPROTOCOL, "its literals are cut short", at);
  count = edr_beam_u32(at);
  at += 4;
  left -= 4;
  if (count > left / 4) return edr_beam_fail_at(beam, EDR_EPROTOCOL, "its literals are cut short", at);
  beam->literals = calloc((size_t)count + 1, sizeof *beam->literals);
  if (beam->literals == NULL) return edr_beam_fail(beam, EDR_ENOMEM, "out of memory");
  for (uint32_t i = 0; i < count; i++) {
    size_t size;
    if (left < 4 || (size = edr_beam_u32(at)) > left - 4)
      return edr_beam_fail_at(beam, EDR_EPROTOCOL, "its literals are cut short", at);
    beam->literals[i] = (edr_beam_bytes){at + 4, size};
    at += 4 + size;
    left -= 4 + size;
  }
  beam->literal_count = count;
  return EDR_OK;
}

/* A size and a zlib stream; from OTP 28 on a size of 0 says that what follows is not compressed. */
static edr_status read_literals(edr_beam *beam) {
  const edr_beam_bytes *chunk = &beam->chunks[EDR_BEAM_LITT];
  edr_status status;
  uint32_t said;

  if (beam->has_literals) return EDR_OK;
  if (chunk->data == NULL) return EDR_OK;
  if (chunk->size < 4) return edr_beam_fail_at(beam, EDR_EPROTOCOL, "its literals are cut short", chunk->data);
  said = edr_beam_u32(chunk->data);
  if (said == 0) {
    status = split_literals(beam, chunk->data + 4, chunk->size - 4);
  } else {
    if (said > beam->max_size) return edr_beam_fail_at(beam, EDR_ELIMIT, "its literals are too large", chunk->data);
    status = edr_gzip_expand(EDR_ZLIB, chunk->data + 4, chunk->size - 4, said, &beam->literal_bytes, &beam->problem);
    if (status == EDR_OK) status = split_literals(beam, beam->literal_bytes.data, beam->literal_bytes.size);
    /* Inside of what was compressed there is no place to name but the chunk's. */
    if (status != EDR_OK) edr_beam_fail_at(beam, status, beam->problem, chunk->data);
  }
  beam->has_literals = status == EDR_OK;
  if (status != EDR_OK) {
    free(beam->literals);
    beam->literals = NULL;
    edr_buf_clear(&beam->literal_bytes);
  }
  return status;
}

edr_status edr_beam_literal(edr_beam *beam, size_t index, edr_beam_bytes *out_term) {
  edr_status status = read_literals(beam);
  if (status != EDR_OK) return status;
  if (index >= beam->literal_count) return edr_beam_fail(beam, EDR_EPROTOCOL, "it names a literal that it has not");
  *out_term = beam->literals[index];
  return EDR_OK;
}
