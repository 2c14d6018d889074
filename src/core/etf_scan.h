/* Inside the external term codec only: a bounded cursor over encoded bytes, the pieces that several terms share (atoms,
 * and the identifiers: pids, ports, references), and a whole token. Nothing here reads past `end`, allocates or keeps
 * state.
 *
 * Every function gives false where the bytes are not there or not right, and says why in `problem`. The cursor may have
 * moved by then: a caller that wants it back keeps a copy. */
#ifndef EDR_ETF_SCAN_H
#define EDR_ETF_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "etf.h"

enum {
  TAG_NEW_FLOAT = 70,
  TAG_BIT_BINARY = 77,
  TAG_COMPRESSED = 80,
  TAG_ATOM_CACHE_REF = 82,
  TAG_NEW_PID = 88,
  TAG_NEW_PORT = 89,
  TAG_NEWER_REFERENCE = 90,
  TAG_SMALL_INTEGER = 97,
  TAG_INTEGER = 98,
  TAG_FLOAT = 99,
  TAG_ATOM = 100,
  TAG_REFERENCE = 101,
  TAG_PORT = 102,
  TAG_PID = 103,
  TAG_SMALL_TUPLE = 104,
  TAG_LARGE_TUPLE = 105,
  TAG_NIL = 106,
  TAG_STRING = 107,
  TAG_LIST = 108,
  TAG_BINARY = 109,
  TAG_SMALL_BIG = 110,
  TAG_LARGE_BIG = 111,
  TAG_NEW_FUN = 112,
  TAG_EXPORT = 113,
  TAG_NEW_REFERENCE = 114,
  TAG_SMALL_ATOM = 115,
  TAG_MAP = 116,
  TAG_FUN = 117,
  TAG_ATOM_UTF8 = 118,
  TAG_SMALL_ATOM_UTF8 = 119,
  TAG_V4_PORT = 120,
  TAG_LOCAL = 121
};

#define EDR_FLOAT_TEXT_SIZE 31 /* FLOAT_EXT */

typedef struct edr_scan {
  const uint8_t *at, *end;
  const char *problem; /* static words */
} edr_scan;

/* An atom of any tag. `data` points into the scanned bytes, or into `room` where Latin-1 had to become UTF-8. */
typedef struct edr_scan_text {
  const uint8_t *data;
  size_t size;
} edr_scan_text;

/* A pid (words: id, serial), a port (words: high and low half of its number) or a reference. */
typedef struct edr_scan_identifier {
  edr_scan_text node;
  uint32_t creation;
  size_t word_count;
  uint32_t words[EDR_REF_MAX_WORDS];
} edr_scan_identifier;

/* The hot ones: inline. */
static inline size_t edr_scan_left(const edr_scan *scan) {
  return (size_t)(scan->end - scan->at);
}

static inline bool edr_scan_bytes(edr_scan *scan, size_t size, const uint8_t **out_data) {
  if (size > edr_scan_left(scan)) {
    scan->problem = "the term is cut short";
    return false;
  }
  *out_data = scan->at;
  scan->at += size;
  return true;
}

static inline bool edr_scan_u8(edr_scan *scan, uint8_t *out_value) {
  const uint8_t *at;
  if (!edr_scan_bytes(scan, 1, &at)) return false;
  *out_value = at[0];
  return true;
}

static inline bool edr_scan_u16(edr_scan *scan, uint16_t *out_value) {
  const uint8_t *at;
  if (!edr_scan_bytes(scan, 2, &at)) return false;
  *out_value = (uint16_t)(at[0] << 8 | at[1]);
  return true;
}

static inline bool edr_scan_u32(edr_scan *scan, uint32_t *out_value) {
  const uint8_t *at;
  if (!edr_scan_bytes(scan, 4, &at)) return false;
  *out_value = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  return true;
}

/* A whole integer that is not a bignum. */
static inline bool edr_scan_small(edr_scan *scan, int32_t *out_value) {
  uint8_t tag, small;
  uint32_t bits;

  if (!edr_scan_u8(scan, &tag)) return false;
  if (tag == TAG_SMALL_INTEGER) {
    if (!edr_scan_u8(scan, &small)) return false;
    *out_value = small;
    return true;
  }
  if (tag != TAG_INTEGER) {
    scan->problem = "another term where a small integer is expected";
    return false;
  }
  if (!edr_scan_u32(scan, &bits)) return false;
  memcpy(out_value, &bits, sizeof bits);
  return true;
}

/* What follows the tag of an atom; `room` takes EDR_ATOM_MAX_BYTES + 1. */
bool edr_scan_atom_body(edr_scan *scan, uint8_t tag, char *room, edr_scan_text *out_text);
/* A whole atom, tag and all. */
bool edr_scan_atom(edr_scan *scan, char *room, edr_scan_text *out_text);

/* What follows the tag of a pid, port or reference. */
bool edr_scan_identifier_body(edr_scan *scan, uint8_t tag, char *room, edr_scan_identifier *out_identifier);

/* A token just decoded, before the reader has settled it against its limits. */
typedef struct edr_etf_draft {
  edr_scan scan;          /* stands behind the token */
  edr_etf_token *token;   /* the caller's */
  uint64_t elements;      /* terms that follow inside it; of a fun, its free variables */
  const uint8_t *fun_end; /* where a NEW_FUN_EXT says that it ends; NULL for all else */
} edr_etf_draft;

/* Decodes what stands at `at` into `out_token`. A LIST_EXT of no elements is its tail, so that is decoded instead. On
 * failure, `problem` of draft->scan says why. */
bool edr_etf_decode(edr_etf_draft *draft, const uint8_t *at, const uint8_t *end, char *room, edr_etf_token *out_token);

#endif
