/* The writer of etf.h: each term in the one encoding that every supported node reads. */
#include "etf.h"

#include <math.h>
#include <string.h>

#include "etf_scan.h"

#define PORT_28_BITS 0x0FFFFFFFu /* more than that needs V4_PORT_EXT, which OTP 23 does not read */

/* A size or count of 32 bits; what is larger cannot be said in this format. */
static void put_size(edr_buf *buf, size_t size) {
  if (size > UINT32_MAX)
    buf->failed = true;
  else
    edr_buf_put_u32(buf, (uint32_t)size);
}

void edr_etf_put_version(edr_buf *buf) {
  edr_buf_put_u8(buf, EDR_ETF_VERSION);
}

void edr_etf_put_int(edr_buf *buf, int64_t value) {
  if (value >= 0 && value <= 255) {
    edr_buf_put_u8(buf, TAG_SMALL_INTEGER);
    edr_buf_put_u8(buf, (uint8_t)value);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    edr_buf_put_u8(buf, TAG_INTEGER);
    edr_buf_put_u32(buf, (uint32_t)value);
  } else {
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint8_t bytes[8], size = 0;
    for (; magnitude > 0; magnitude >>= 8) bytes[size++] = (uint8_t)magnitude;
    edr_buf_put_u8(buf, TAG_SMALL_BIG);
    edr_buf_put_u8(buf, size);
    edr_buf_put_u8(buf, value < 0);
    edr_buf_append(buf, bytes, size);
  }
}

void edr_etf_put_bignum(edr_buf *buf, bool negative, const uint8_t *magnitude, size_t size) {
  while (size > 0 && magnitude[size - 1] == 0) size--;
  if (size <= 4) { /* an integer of one of the shorter forms, or no bignum for want of 5 bytes */
    int64_t value = 0;
    for (size_t i = size; i > 0; i--) value = value * 256 + magnitude[i - 1];
    edr_etf_put_int(buf, negative ? -value : value);
    return;
  }
  edr_buf_put_u8(buf, size <= 255 ? TAG_SMALL_BIG : TAG_LARGE_BIG);
  if (size <= 255)
    edr_buf_put_u8(buf, (uint8_t)size);
  else
    put_size(buf, size);
  edr_buf_put_u8(buf, negative);
  edr_buf_append(buf, magnitude, size);
}

void edr_etf_put_float(edr_buf *buf, double value) {
  uint64_t bits;
  if (!isfinite(value)) {
    buf->failed = true;
    return;
  }
  memcpy(&bits, &value, sizeof bits);
  edr_buf_put_u8(buf, TAG_NEW_FLOAT);
  edr_buf_put_u64(buf, bits);
}

void edr_etf_put_atom(edr_buf *buf, const char *utf8, size_t size) {
  if (size > EDR_ATOM_MAX_BYTES) {
    buf->failed = true;
    return;
  }
  if (size <= 255) {
    edr_buf_put_u8(buf, TAG_SMALL_ATOM_UTF8);
    edr_buf_put_u8(buf, (uint8_t)size);
  } else {
    edr_buf_put_u8(buf, TAG_ATOM_UTF8);
    edr_buf_put_u16(buf, (uint16_t)size);
  }
  edr_buf_append(buf, utf8, size);
}

void edr_etf_put_name(edr_buf *buf, const char *atom) {
  edr_etf_put_atom(buf, atom, strlen(atom));
}

void edr_etf_put_binary(edr_buf *buf, const void *data, size_t size) {
  edr_buf_put_u8(buf, TAG_BINARY);
  put_size(buf, size);
  edr_buf_append(buf, data, size);
}

void edr_etf_put_bitstring(edr_buf *buf, const uint8_t *data, size_t size, uint8_t bits) {
  if (size == 0 || bits == 0 || bits >= 8) {
    edr_etf_put_binary(buf, data, size);
    return;
  }
  edr_buf_put_u8(buf, TAG_BIT_BINARY);
  put_size(buf, size);
  edr_buf_put_u8(buf, bits);
  edr_buf_append(buf, data, size - 1);
  edr_buf_put_u8(buf, (uint8_t)(data[size - 1] & (0xFF00 >> bits)));
}

void edr_etf_put_string(edr_buf *buf, const uint8_t *data, size_t size) {
  if (size > 0 && size <= UINT16_MAX) {
    edr_buf_put_u8(buf, TAG_STRING);
    edr_buf_put_u16(buf, (uint16_t)size);
    edr_buf_append(buf, data, size);
    return;
  }
  edr_etf_put_list(buf, size);
  for (size_t i = 0; i < size; i++) edr_etf_put_int(buf, data[i]);
  edr_etf_put_nil(buf);
}

void edr_etf_put_nil(edr_buf *buf) {
  edr_buf_put_u8(buf, TAG_NIL);
}

void edr_etf_put_tuple(edr_buf *buf, size_t arity) {
  if (arity <= 255) {
    edr_buf_put_u8(buf, TAG_SMALL_TUPLE);
    edr_buf_put_u8(buf, (uint8_t)arity);
  } else {
    edr_buf_put_u8(buf, TAG_LARGE_TUPLE);
    put_size(buf, arity);
  }
}

void edr_etf_put_list(edr_buf *buf, size_t count) {
  if (count == 0) return;
  edr_buf_put_u8(buf, TAG_LIST);
  put_size(buf, count);
}

void edr_etf_put_map(edr_buf *buf, size_t pairs) {
  edr_buf_put_u8(buf, TAG_MAP);
  put_size(buf, pairs);
}

void edr_etf_put_pid(edr_buf *buf, const edr_pid *pid) {
  edr_buf_put_u8(buf, TAG_NEW_PID);
  edr_etf_put_atom(buf, pid->node, strlen(pid->node));
  edr_buf_put_u32(buf, pid->id);
  edr_buf_put_u32(buf, pid->serial);
  edr_buf_put_u32(buf, pid->creation);
}

static void put_ref(edr_buf *buf, const char *node, size_t node_size, uint32_t creation, const uint32_t *words,
                    size_t word_count) {
  if (word_count == 0 || word_count > EDR_REF_MAX_WORDS) {
    buf->failed = true;
    return;
  }
  edr_buf_put_u8(buf, TAG_NEWER_REFERENCE);
  edr_buf_put_u16(buf, (uint16_t)word_count);
  edr_etf_put_atom(buf, node, node_size);
  edr_buf_put_u32(buf, creation);
  for (size_t i = 0; i < word_count; i++) edr_buf_put_u32(buf, words[i]);
}

void edr_etf_put_ref(edr_buf *buf, const edr_ref *ref) {
  put_ref(buf, ref->node, strlen(ref->node), ref->creation, ref->words, ref->word_count);
}

void edr_etf_put_export(edr_buf *buf, const char *module, const char *function, uint8_t arity) {
  edr_buf_put_u8(buf, TAG_EXPORT);
  edr_etf_put_atom(buf, module, strlen(module));
  edr_etf_put_atom(buf, function, strlen(function));
  edr_etf_put_int(buf, arity);
}

/* The reader has checked the token, so scanning its bytes again cannot fail. */
static void put_identifier(edr_buf *buf, const edr_etf_token *token) {
  edr_scan scan = {.at = token->raw + 1, .end = token->raw + token->raw_size, .problem = NULL};
  char room[EDR_ATOM_MAX_BYTES + 1];
  edr_scan_identifier id;
  bool v4;

  if (!edr_scan_identifier_body(&scan, token->raw[0], room, &id)) return;
  if (token->kind == EDR_ETF_REF) {
    put_ref(buf, (const char *)id.node.data, id.node.size, id.creation, id.words, id.word_count);
    return;
  }
  v4 = id.words[0] != 0 || id.words[1] > PORT_28_BITS;
  edr_buf_put_u8(buf, token->kind == EDR_ETF_PID ? TAG_NEW_PID : v4 ? TAG_V4_PORT : TAG_NEW_PORT);
  edr_etf_put_atom(buf, (const char *)id.node.data, id.node.size);
  if (token->kind == EDR_ETF_PID || v4) edr_buf_put_u32(buf, id.words[0]);
  edr_buf_put_u32(buf, id.words[1]);
  edr_buf_put_u32(buf, id.creation);
}

static void put_export(edr_buf *buf, const edr_etf_token *token) {
  edr_scan scan = {.at = token->raw + 1, .end = token->raw + token->raw_size, .problem = NULL};
  char room[EDR_ATOM_MAX_BYTES + 1];
  edr_scan_text text;
  int32_t arity;

  edr_buf_put_u8(buf, TAG_EXPORT);
  for (int i = 0; i < 2; i++) {
    if (!edr_scan_atom(&scan, room, &text)) return;
    edr_etf_put_atom(buf, (const char *)text.data, text.size);
  }
  if (edr_scan_small(&scan, &arity)) edr_etf_put_int(buf, arity);
}

void edr_etf_put_canonical(edr_buf *buf, const edr_etf_token *token) {
  switch (token->kind) {
  case EDR_ETF_INT:
    edr_etf_put_int(buf, token->integer);
    break;
  case EDR_ETF_BIGNUM:
    edr_etf_put_bignum(buf, token->negative, token->data, token->size);
    break;
  case EDR_ETF_FLOAT:
    edr_etf_put_float(buf, token->real);
    break;
  case EDR_ETF_ATOM:
    edr_etf_put_atom(buf, (const char *)token->data, token->size);
    break;
  case EDR_ETF_BINARY:
    edr_etf_put_binary(buf, token->data, token->size);
    break;
  case EDR_ETF_BITSTRING:
    edr_etf_put_bitstring(buf, token->data, token->size, token->bits);
    break;
  case EDR_ETF_STRING:
    edr_etf_put_string(buf, token->data, token->size);
    break;
  case EDR_ETF_NIL:
    edr_etf_put_nil(buf);
    break;
  case EDR_ETF_PID:
  case EDR_ETF_PORT:
  case EDR_ETF_REF:
    put_identifier(buf, token);
    break;
  case EDR_ETF_EXPORT:
    put_export(buf, token);
    break;
  case EDR_ETF_FUN: /* as it came: its maker always encodes it alike */
    edr_buf_append(buf, token->raw, token->raw_size);
    break;
  case EDR_ETF_TUPLE:
  case EDR_ETF_LIST:
  case EDR_ETF_MAP:
  case EDR_ETF_END:
    break;
  }
}
