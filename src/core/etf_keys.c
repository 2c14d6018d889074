/* Keys of maps; the contract is in etf_keys.h. Terms in keys become digests from the inside out: of scalars, their
 * canonical bytes; of a list, its elements, in whichever of its forms; of a map, the sum of its entries, which have no
 * order. */
#include "etf_keys.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "md5.h"

enum { FEW = 8, LEAST_ROOM = 16, DIGEST_MARK = 'D' /* no canonical term begins so */ };

typedef edr_keys_digest digest;
typedef edr_etf_keys checker;
typedef edr_keys_level level;

/* A compound term that is open. */
struct edr_keys_level {
  edr_etf_kind kind;
  bool hashed;      /* it is in a key */
  size_t read;      /* elements so far */
  size_t count;     /* of a list, elements before the tail */
  size_t tails;     /* lists that were its tail: each has an END of its own */
  size_t first_key; /* of a map, in `keys` */
  digest sum;       /* of a map's entries */
  edr_md5 md5;      /* of the elements; of a map, of this entry */
};

/* Makes room for more than the `capacity` that there is; NULL: no memory. */
static void *grow(void *items, size_t *capacity, size_t size) {
  const size_t more = *capacity == 0 ? LEAST_ROOM : *capacity * 2;
  void *made = more <= SIZE_MAX / size ? realloc(items, more * size) : NULL;
  if (made != NULL) *capacity = more;
  return made;
}

static digest end_digest(edr_md5 *md5) {
  uint8_t bytes[EDR_MD5_SIZE];
  digest made;
  edr_md5_end(md5, bytes);
  memcpy(&made, bytes, sizeof made);
  return made;
}

static digest digest_of(const void *bytes, size_t size) {
  edr_md5 md5;
  edr_md5_init(&md5);
  edr_md5_add(&md5, bytes, size);
  return end_digest(&md5);
}

/* Most keys are short, and stand for themselves. */
static bool short_digest(const edr_etf_token *token, digest *out_digest) {
  uint8_t bytes[sizeof *out_digest] = {0};
  const bool is_text = token->kind == EDR_ETF_ATOM || token->kind == EDR_ETF_BINARY;
  if (token->kind == EDR_ETF_INT) {
    memcpy(bytes, &token->integer, sizeof token->integer);
  } else if (is_text && token->size <= sizeof bytes - 2) {
    memcpy(bytes, token->data, token->size);
  } else {
    return false;
  }
  bytes[sizeof bytes - 2] = (uint8_t)token->kind;
  bytes[sizeof bytes - 1] = (uint8_t)(is_text ? token->size : 0);
  memcpy(out_digest, bytes, sizeof bytes);
  return true;
}

static void add_to_sum(digest *sum, digest entry) {
  sum->low += entry.low;
  sum->high += entry.high + (sum->low < entry.low ? 1 : 0);
}

static level *top_of(const checker *self) {
  return self->depth > 0 ? &self->levels[self->depth - 1] : NULL;
}

static bool is_key_next(const level *top) {
  return top->kind == EDR_ETF_MAP && top->read % 2 == 0;
}

static bool is_tail_next(const level *top) {
  return top->kind == EDR_ETF_LIST && top->read == top->count;
}

/* Whether what comes next in `top` must be known. */
static bool matters(const level *top) {
  return top != NULL && (top->hashed || is_key_next(top));
}

static edr_status add_key(checker *self, level *top, digest key) {
  if (self->keys == NULL || self->key_count == self->key_capacity) {
    digest *made = grow(self->keys, &self->key_capacity, sizeof *made);
    if (made == NULL) return EDR_ENOMEM;
    self->keys = made;
  }
  self->keys[self->key_count++] = key;
  if (top->hashed) {
    edr_md5_init(&top->md5);
    edr_md5_add(&top->md5, &key, sizeof key);
  }
  top->read++;
  return EDR_OK;
}

/* One more element of the top is complete: these bytes stand for it, and are looked at only where it matters. */
static edr_status add_element(checker *self, const void *bytes, size_t size) {
  level *top = top_of(self);
  if (top == NULL) return EDR_OK;
  if (is_key_next(top)) return add_key(self, top, digest_of(bytes, size));
  if (top->hashed && top->kind == EDR_ETF_MAP) {
    edr_md5_add(&top->md5, bytes, size);
    add_to_sum(&top->sum, end_digest(&top->md5));
  } else if (top->hashed) {
    if (is_tail_next(top)) edr_md5_add(&top->md5, "|", 1);
    edr_md5_add(&top->md5, bytes, size);
  }
  top->read++;
  return EDR_OK;
}

static edr_status add_digest(checker *self, digest made) {
  uint8_t bytes[1 + sizeof made] = {DIGEST_MARK};
  memcpy(bytes + 1, &made, sizeof made);
  return add_element(self, bytes, sizeof bytes);
}

static edr_status begin(checker *self, edr_etf_kind kind, size_t count) {
  const bool hashed = matters(top_of(self));
  level *made;
  if (self->levels == NULL || self->depth == self->level_capacity) {
    made = grow(self->levels, &self->level_capacity, sizeof *made);
    if (made == NULL) return EDR_ENOMEM;
    self->levels = made;
  }
  made = &self->levels[self->depth++];
  made->kind = kind;
  made->hashed = hashed;
  made->count = count;
  made->read = made->tails = 0;
  made->first_key = self->key_count;
  made->sum = (digest){0, 0};
  if (hashed && kind != EDR_ETF_MAP) {
    edr_md5_init(&made->md5);
    edr_md5_add(&made->md5, kind == EDR_ETF_TUPLE ? "T" : "L", 1);
  }
  return EDR_OK;
}

static bool equal(const digest *one, const digest *other) {
  return one->high == other->high && one->low == other->low;
}

/* EDR_EPROTOCOL where two are the same. */
static edr_status check_few(const digest *keys, size_t count) {
  size_t i, j;
  for (i = 1; i < count; i++) {
    for (j = 0; j < i; j++) {
      if (equal(&keys[i], &keys[j])) return EDR_EPROTOCOL;
    }
  }
  return EDR_OK;
}

/* What nobody else can know, so that nobody can make keys that all want the same place. */
static uint64_t secret(void) {
  static _Thread_local uint64_t value;
  uint64_t made;
  if (value == 0) {
    if (getrandom(&made, sizeof made, GRND_NONBLOCK) != (ssize_t)sizeof made) made = (uint64_t)edr_clock_now_us();
    value = made | 1;
  }
  return value;
}

/* The same by a table of their places, from 1, that is at most half full. */
static edr_status check_many(const digest *keys, size_t count) {
  const uint64_t one = secret(), other = (one * 0x9E3779B97F4A7C15u) | 1;
  edr_status status = EDR_OK;
  size_t *places, room = LEAST_ROOM, i, at;
  while (room < 2 * count) room *= 2;
  places = calloc(room, sizeof *places);
  if (places == NULL) return EDR_ENOMEM;
  for (i = 0; i < count && status == EDR_OK; i++) {
    uint64_t mixed = keys[i].low * one + keys[i].high * other;
    mixed = (mixed ^ mixed >> 32) * one;
    for (at = (size_t)(mixed >> 32) & (room - 1); places[at] != 0; at = (at + 1) & (room - 1)) {
      if (equal(&keys[i], &keys[places[at] - 1])) status = EDR_EPROTOCOL;
    }
    places[at] = i + 1;
  }
  free(places);
  return status;
}

static edr_status check_keys_of(const checker *self, const level *map) {
  const size_t count = self->key_count - map->first_key;
  if (count < 2) return EDR_OK;
  return count > FEW ? check_many(self->keys + map->first_key, count) : check_few(self->keys + map->first_key, count);
}

/* The compound term on top ends. */
static edr_status end(checker *self, level *top) {
  const bool hashed = top->hashed;
  digest made = {0, 0};
  if (top->tails > 0) {
    top->tails--;
    return EDR_OK;
  }
  if (top->kind == EDR_ETF_MAP) {
    const edr_status status = check_keys_of(self, top);
    if (status != EDR_OK) return status;
    self->key_count = top->first_key;
    made = top->sum;
  } else if (hashed) {
    made = end_digest(&top->md5);
  }
  if (top->kind == EDR_ETF_MAP && hashed) {
    edr_md5_init(&top->md5);
    edr_md5_add(&top->md5, "M", 1);
    edr_md5_add(&top->md5, &made, sizeof made);
    made = end_digest(&top->md5);
  }
  self->depth--;
  return hashed ? add_digest(self, made) : add_element(self, NULL, 0);
}

/* A list of bytes stands for a LIST_EXT of small integers; `is_tail`: it carries on the list on top. */
static edr_status add_bytes(checker *self, const edr_etf_token *token, bool is_tail) {
  level *top;
  edr_status status = EDR_OK;
  size_t i;
  if (!matters(top_of(self))) {
    if (!is_tail) return add_element(self, NULL, 0);
    return EDR_OK;
  }
  if (!is_tail) status = begin(self, EDR_ETF_LIST, token->size);
  if (status != EDR_OK) return status;
  top = top_of(self);
  if (is_tail) top->count += token->size;
  for (i = 0; i < token->size && status == EDR_OK; i++) {
    edr_buf_clear(&self->scratch);
    edr_etf_put_int(&self->scratch, token->data[i]);
    status = edr_buf_status(&self->scratch);
    if (status == EDR_OK) status = add_element(self, self->scratch.data, self->scratch.size);
  }
  return status == EDR_OK && !is_tail ? end(self, top_of(self)) : status;
}

static edr_status add_scalar(checker *self, const edr_etf_token *token) {
  level *top = top_of(self);
  edr_status status;
  digest key;
  if (!matters(top)) return add_element(self, NULL, 0);
  if (is_key_next(top) && short_digest(token, &key)) return add_key(self, top, key);
  edr_buf_clear(&self->scratch);
  edr_etf_put_canonical(&self->scratch, token);
  status = edr_buf_status(&self->scratch);
  return status == EDR_OK ? add_element(self, self->scratch.data, self->scratch.size) : status;
}

edr_status edr_etf_keys_add(edr_etf_keys *keys, const edr_etf_token *token) {
  level *top = top_of(keys);
  const bool is_tail = top != NULL && is_tail_next(top);
  switch (token->kind) {
  case EDR_ETF_LIST:
    if (!is_tail) return begin(keys, token->kind, token->count);
    top->count += token->count;
    top->tails++;
    return EDR_OK;
  case EDR_ETF_TUPLE:
  case EDR_ETF_MAP:
    return begin(keys, token->kind, token->count);
  case EDR_ETF_END:
    return top != NULL ? end(keys, top) : EDR_EPROTOCOL;
  case EDR_ETF_STRING:
    return add_bytes(keys, token, is_tail);
  case EDR_ETF_NIL:
    return is_tail ? EDR_OK : add_scalar(keys, token);
  default:
    return add_scalar(keys, token);
  }
}

edr_status edr_etf_keys_add_ints(edr_etf_keys *keys, const int64_t *values, size_t count) {
  level *top = top_of(keys);
  edr_etf_token token = {.kind = EDR_ETF_INT};
  edr_status status = EDR_OK;
  if (top == NULL) return EDR_OK;
  if (!top->hashed && top->kind != EDR_ETF_MAP) {
    top->read += count;
    return EDR_OK;
  }
  for (; count > 0 && status == EDR_OK; count--) {
    token.integer = *values++;
    status = add_scalar(keys, &token);
  }
  return status;
}

void edr_etf_keys_init(edr_etf_keys *keys) {
  memset(keys, 0, sizeof *keys);
  edr_buf_init(&keys->scratch);
}

void edr_etf_keys_deinit(edr_etf_keys *keys) {
  edr_buf_deinit(&keys->scratch);
  free(keys->levels);
  free(keys->keys);
  memset(keys, 0, sizeof *keys);
}

void edr_etf_keys_reset(edr_etf_keys *keys) {
  keys->depth = keys->key_count = 0;
}
