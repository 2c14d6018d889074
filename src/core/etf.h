/* The external term format, bounded: a reader that turns bytes into tokens, and a writer that appends terms to a
 * buffer. Knows no socket and no Lua; nothing here recurses. Source: erts "External Term Format".
 *
 * Reading. Every length, count and depth is checked against the bytes that are there and against the limits before it
 * is used. A failed step leaves the reader where it was. A compound term is a header token (tuple, list, map), its
 * elements, and EDR_ETF_END. A list's elements are followed by its tail, which is EDR_ETF_NIL for a proper list; a
 * map's `count` pairs come as key, value, key, value. */
#ifndef EDR_ETF_H
#define EDR_ETF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "status.h"

#define EDR_ETF_VERSION 131
#define EDR_ATOM_MAX_CHARS 255
#define EDR_ATOM_MAX_BYTES ((size_t)EDR_ATOM_MAX_CHARS * 4) /* UTF-8 */
#define EDR_REF_MAX_WORDS 5

typedef enum edr_etf_kind {
  EDR_ETF_INT,       /* integer: fits an int64_t, of any tag */
  EDR_ETF_BIGNUM,    /* bytes: magnitude, little-endian, without leading zero bytes; negative */
  EDR_ETF_FLOAT,     /* real */
  EDR_ETF_ATOM,      /* bytes: UTF-8, valid until the next call on this reader */
  EDR_ETF_BINARY,    /* bytes */
  EDR_ETF_BITSTRING, /* bytes; bits: how many bits of the last byte count, 1 to 7 */
  EDR_ETF_STRING,    /* bytes: a list of integers 0 to 255, never empty */
  EDR_ETF_NIL,       /* the empty list */
  EDR_ETF_TUPLE,     /* count */
  EDR_ETF_LIST,      /* count: elements before the tail, at least 1 */
  EDR_ETF_MAP,       /* count: pairs */
  EDR_ETF_PID,       /* the extent only: read it with edr_etf_read_pid, or keep its canonical bytes */
  EDR_ETF_PORT,
  EDR_ETF_REF,
  EDR_ETF_FUN,
  EDR_ETF_EXPORT, /* fun M:F/A */
  EDR_ETF_END     /* a compound term ends here */
} edr_etf_kind;

typedef struct edr_etf_token {
  edr_etf_kind kind;
  const uint8_t *raw; /* where the token starts; a scalar's whole encoding is raw[0..raw_size) */
  size_t raw_size;
  const uint8_t *data; /* bytes of atom, binary, bitstring, string, bignum */
  size_t size;
  size_t count;
  int64_t integer;
  double real;
  uint8_t bits;
  bool negative;
} edr_etf_token;

typedef struct edr_etf_limits {
  size_t max_depth; /* compound terms inside one another */
  size_t max_count; /* tokens in one term */
  size_t max_size;  /* bytes of one term */
} edr_etf_limits;

/* 1,024 deep, 64 Mi tokens, 512 MiB. */
extern const edr_etf_limits edr_etf_default_limits;

/* A compound term that is open: how many elements are still to come and, for the inside of a fun, where it must end. */
typedef struct edr_etf_open {
  size_t left;
  size_t end; /* 0 for all but funs */
} edr_etf_open;

/* Points into itself: not to be copied. Fields are the reader's own, but `offset` may be looked at. */
typedef struct edr_etf_reader {
  const uint8_t *data;
  size_t size;
  size_t offset;
  edr_etf_limits limits;
  size_t start;       /* where the outermost term begins */
  size_t count;       /* tokens of it read so far */
  size_t pending;     /* elements still to come, of all open terms: each takes a byte or more */
  size_t depth;       /* compound terms that are open */
  edr_etf_open *open; /* open_inline, or memory of its own */
  size_t open_capacity;
  edr_etf_open open_inline[32];
  char atom[EDR_ATOM_MAX_BYTES + 1];
  char problem[96];
} edr_etf_reader;

/* Reads `data`, which stays the caller's and must outlive the reader. `limits` may be NULL for the defaults. */
void edr_etf_reader_init(edr_etf_reader *reader, const uint8_t *data, size_t size, const edr_etf_limits *limits);
void edr_etf_reader_deinit(edr_etf_reader *reader);

/* The version byte 131, between terms. EDR_EPROTOCOL where it is another one or missing. */
edr_status edr_etf_read_version(edr_etf_reader *reader);

/* The next token. EDR_EPROTOCOL for a truncated term, an unknown or refused tag (atom cache references, local terms,
 * compressed terms), a bad atom or an impossible length; EDR_ELIMIT past a limit; EDR_ENOMEM: `out_token` says nothing
 * then. */
edr_status edr_etf_next(edr_etf_reader *reader, edr_etf_token *out_token);

/* Up to `most` integers that come next in the compound term that is open, settled together instead of one by one: lists
 * of numbers are long. How many it read; 0 where something else comes, an integer in a rarer form, or what edr_etf_next
 * fails at. */
size_t edr_etf_next_ints(edr_etf_reader *reader, size_t most, int64_t *out_values);

/* Why the last edr_etf_next failed, in a few words ("a tuple of 70000 elements in 3 bytes"). */
const char *edr_etf_reader_problem(const edr_etf_reader *reader);

/* Reads over one whole term, checking all of it. EDR_EPROTOCOL also where no term begins but an open one ends. */
edr_status edr_etf_skip(edr_etf_reader *reader);

/* Whether every byte was read and no compound term is open. */
bool edr_etf_reader_at_end(const edr_etf_reader *reader);

/* A place to come back to, where what follows may be read in more than one way. Good until the reader goes back before
 * it or leaves the compound term that it stands in. */
typedef struct edr_etf_mark {
  size_t offset, start, count, pending, depth, left;
} edr_etf_mark;

edr_etf_mark edr_etf_reader_mark(const edr_etf_reader *reader);
void edr_etf_reader_rewind(edr_etf_reader *reader, const edr_etf_mark *mark);

/* One term of a kind that the caller expects: EDR_EPROTOCOL, and nothing read, where another stands there.
 * A tuple's elements and its END follow; use edr_etf_read_end for the latter. */
edr_status edr_etf_read_tuple(edr_etf_reader *reader, size_t *out_arity);
edr_status edr_etf_read_end(edr_etf_reader *reader);
edr_status edr_etf_read_int(edr_etf_reader *reader, int64_t *out_value);
/* EDR_OK only for exactly this atom. */
edr_status edr_etf_read_this_atom(edr_etf_reader *reader, const char *atom);

/* A pid, taken apart. `node` is UTF-8 and terminated. */
typedef struct edr_pid {
  uint32_t id, serial, creation;
  char node[EDR_ATOM_MAX_BYTES + 1];
} edr_pid;

/* A reference, taken apart; `words` in the order of the wire. */
typedef struct edr_ref {
  uint32_t creation;
  uint16_t word_count; /* 1 to EDR_REF_MAX_WORDS */
  uint32_t words[EDR_REF_MAX_WORDS];
  char node[EDR_ATOM_MAX_BYTES + 1];
} edr_ref;

edr_status edr_etf_read_pid(edr_etf_reader *reader, edr_pid *out_pid);
edr_status edr_etf_read_ref(edr_etf_reader *reader, edr_ref *out_ref);

/* Writing: each appends one term (or the header of one) and never fails on its own: ask edr_buf_status at the end. What
 * the format cannot hold (a size over 32 bits, a float that is not finite, a reference without words) marks the buffer
 * as failed too: nodes cut the connection over a term that they cannot read. */
void edr_etf_put_version(edr_buf *buf);
void edr_etf_put_int(edr_buf *buf, int64_t value);
void edr_etf_put_bignum(edr_buf *buf, bool negative, const uint8_t *magnitude, size_t size);
void edr_etf_put_float(edr_buf *buf, double value);
/* At most EDR_ATOM_MAX_CHARS characters of valid UTF-8 (the caller has checked: edr_etf_atom_valid). */
void edr_etf_put_atom(edr_buf *buf, const char *utf8, size_t size);
void edr_etf_put_name(edr_buf *buf, const char *atom); /* the same of a C string */
void edr_etf_put_binary(edr_buf *buf, const void *data, size_t size);
void edr_etf_put_bitstring(edr_buf *buf, const uint8_t *data, size_t size, uint8_t bits);
/* A list of bytes, as STRING_EXT where it may be one (1 to 65,535), as NIL or LIST_EXT otherwise. */
void edr_etf_put_string(edr_buf *buf, const uint8_t *data, size_t size);
void edr_etf_put_nil(edr_buf *buf);
void edr_etf_put_tuple(edr_buf *buf, size_t arity);
/* `count` elements and then the tail follow (edr_etf_put_nil for a proper list). For a count of 0 nothing is written:
 * the tail alone is the term. */
void edr_etf_put_list(edr_buf *buf, size_t count);
void edr_etf_put_map(edr_buf *buf, size_t pairs);
void edr_etf_put_pid(edr_buf *buf, const edr_pid *pid);
void edr_etf_put_ref(edr_buf *buf, const edr_ref *ref);
void edr_etf_put_export(edr_buf *buf, const char *module, const char *function, uint8_t arity);

bool edr_etf_utf8_valid(const char *utf8, size_t size);

/* Whether these bytes are valid UTF-8 of at most EDR_ATOM_MAX_CHARS characters. */
bool edr_etf_atom_valid(const char *utf8, size_t size);

/* Appends the scalar or opaque term that `token` stands for in the one encoding that this core uses for it (UTF-8
 * atoms, NEW_PID_EXT, NEWER_REFERENCE_EXT, V4_PORT_EXT or NEW_PORT_EXT, SMALL_BIG_EXT where it fits), so that equal
 * terms have equal bytes. For compound tokens it does nothing. */
void edr_etf_put_canonical(edr_buf *buf, const edr_etf_token *token);

#endif
