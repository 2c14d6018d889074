/* Whether each map has each of its keys once, as OTP demands: a node cuts the connection over a map that has not. Keys
 * are compared as `=:=` does, in all forms that they come in. Sees the tokens that a reader gives, one after another;
 * nothing here recurses. */
#ifndef EDR_ETF_KEYS_H
#define EDR_ETF_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "etf.h"
#include "status.h"

typedef struct edr_keys_digest {
  uint64_t high, low;
} edr_keys_digest;

typedef struct edr_keys_level edr_keys_level;

typedef struct edr_etf_keys {
  edr_keys_level *levels; /* compound terms that are open */
  size_t depth, level_capacity;
  edr_keys_digest *keys; /* of all maps that are open */
  size_t key_count, key_capacity;
  edr_buf scratch;
} edr_etf_keys;

void edr_etf_keys_init(edr_etf_keys *keys);
void edr_etf_keys_deinit(edr_etf_keys *keys);

/* Forgets a term that was not read to its end; keeps the memory. */
void edr_etf_keys_reset(edr_etf_keys *keys);

/* The next token. A map is the first; then come all that are in it, to its END. EDR_EPROTOCOL: that one ends a map that
 * has a key twice. EDR_ENOMEM. */
edr_status edr_etf_keys_add(edr_etf_keys *keys, const edr_etf_token *token);

/* The same for integers that were read together. */
edr_status edr_etf_keys_add_ints(edr_etf_keys *keys, const int64_t *values, size_t count);

/* Whether a map is open, so that the next token is wanted. */
static inline bool edr_etf_keys_open(const edr_etf_keys *keys) {
  return keys->depth > 0;
}

#endif
