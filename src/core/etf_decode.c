/* One token of the external term format, decoded: every tag there is, and what it must look like. Keeps no state and
 * knows neither limits nor what was read before; that is the reader's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etf_scan.h"

static bool no(edr_etf_draft *draft, const char *problem) {
  draft->scan.problem = problem;
  return false;
}

static bool decode_small_integer(edr_etf_draft *draft) {
  uint8_t value;
  if (!edr_scan_u8(&draft->scan, &value)) return false;
  draft->token->kind = EDR_ETF_INT;
  draft->token->integer = value;
  return true;
}

static bool decode_integer(edr_etf_draft *draft) {
  uint32_t bits;
  int32_t value;
  if (!edr_scan_u32(&draft->scan, &bits)) return false;
  memcpy(&value, &bits, sizeof value);
  draft->token->kind = EDR_ETF_INT;
  draft->token->integer = value;
  return true;
}

static bool decode_big(edr_etf_draft *draft, bool large) {
  edr_etf_token *token = draft->token;
  uint32_t size;
  uint8_t sign, small;
  uint64_t value = 0;

  if (large) {
    if (!edr_scan_u32(&draft->scan, &size)) return false;
  } else {
    if (!edr_scan_u8(&draft->scan, &small)) return false;
    size = small;
  }
  if (!edr_scan_u8(&draft->scan, &sign) || !edr_scan_bytes(&draft->scan, size, &token->data)) return false;
  while (size > 0 && token->data[size - 1] == 0) size--;
  token->kind = EDR_ETF_BIGNUM;
  token->size = size;
  token->negative = sign != 0;
  if (size > sizeof value) return true;
  for (size_t i = size; i > 0; i--) value = value << 8 | token->data[i - 1];
  if (value > (uint64_t)INT64_MAX + (token->negative ? 1 : 0)) return true;
  token->kind = EDR_ETF_INT;
  if (!token->negative)
    token->integer = (int64_t)value;
  else
    token->integer = value == 0 ? 0 : -(int64_t)(value - 1) - 1;
  return true;
}

static bool decode_new_float(edr_etf_draft *draft) {
  uint32_t high, low;
  uint64_t bits;

  if (!edr_scan_u32(&draft->scan, &high) || !edr_scan_u32(&draft->scan, &low)) return false;
  bits = (uint64_t)high << 32 | low;
  memcpy(&draft->token->real, &bits, sizeof bits);
  draft->token->kind = EDR_ETF_FLOAT;
  return isfinite(draft->token->real) || no(draft, "a float that is not a number");
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* FLOAT_EXT, "%.20e" padded with zero bytes. The digits go to strtod without their point, with an exponent to match:
 * so the program's locale, which the host may have set, has no say in it. */
static bool decode_text_float(edr_etf_draft *draft) {
  static const char *const bad = "a float whose text is not a number";
  char text[EDR_FLOAT_TEXT_SIZE + 1] = {0}, plain[EDR_FLOAT_TEXT_SIZE + 16];
  size_t used = 0;
  long exponent = 0;
  const uint8_t *data;
  const char *at = text;

  if (!edr_scan_bytes(&draft->scan, EDR_FLOAT_TEXT_SIZE, &data)) return false;
  memcpy(text, data, EDR_FLOAT_TEXT_SIZE);
  if (*at == '-' || *at == '+') plain[used++] = *at++;
  if (!is_digit(*at)) return no(draft, bad);
  while (is_digit(*at)) plain[used++] = *at++;
  if (*at++ != '.' || !is_digit(*at)) return no(draft, bad);
  for (; is_digit(*at); exponent--) plain[used++] = *at++;
  if (*at == 'e' || *at == 'E') {
    char *end;
    const char *digits = at[1] == '-' || at[1] == '+' ? at + 2 : at + 1;
    long written;
    if (!is_digit(*digits)) return no(draft, bad);
    written = strtol(at + 1, &end, 10);
    if (written < -9999 || written > 9999) return no(draft, bad);
    exponent += written;
    at = end;
  }
  if (*at != '\0') return no(draft, bad);
  snprintf(plain + used, sizeof plain - used, "e%ld", exponent);
  draft->token->kind = EDR_ETF_FLOAT;
  draft->token->real = strtod(plain, NULL);
  return isfinite(draft->token->real) || no(draft, "a float that is not a number");
}

static bool decode_atom(edr_etf_draft *draft, uint8_t tag, char *room) {
  edr_scan_text text;
  if (!edr_scan_atom_body(&draft->scan, tag, room, &text)) return false;
  draft->token->kind = EDR_ETF_ATOM;
  draft->token->data = text.data;
  draft->token->size = text.size;
  return true;
}

static bool decode_binary(edr_etf_draft *draft) {
  uint32_t size;
  if (!edr_scan_u32(&draft->scan, &size) || !edr_scan_bytes(&draft->scan, size, &draft->token->data)) return false;
  draft->token->kind = EDR_ETF_BINARY;
  draft->token->size = size;
  return true;
}

static bool decode_bit_binary(edr_etf_draft *draft) {
  uint32_t size;
  uint8_t bits;

  if (!edr_scan_u32(&draft->scan, &size) || !edr_scan_u8(&draft->scan, &bits) ||
      !edr_scan_bytes(&draft->scan, size, &draft->token->data))
    return false;
  if (bits > 8 || (bits == 0) != (size == 0)) return no(draft, "a bitstring with an impossible number of bits");
  draft->token->kind = bits == 0 || bits == 8 ? EDR_ETF_BINARY : EDR_ETF_BITSTRING;
  draft->token->size = size;
  draft->token->bits = bits == 8 ? 0 : bits;
  return true;
}

static bool decode_string(edr_etf_draft *draft) {
  uint16_t size;
  if (!edr_scan_u16(&draft->scan, &size) || !edr_scan_bytes(&draft->scan, size, &draft->token->data)) return false;
  draft->token->kind = size == 0 ? EDR_ETF_NIL : EDR_ETF_STRING;
  draft->token->size = size;
  return true;
}

static bool decode_identifier(edr_etf_draft *draft, uint8_t tag, edr_etf_kind kind) {
  char room[EDR_ATOM_MAX_BYTES + 1];
  edr_scan_identifier identifier;
  draft->token->kind = kind;
  return edr_scan_identifier_body(&draft->scan, tag, room, &identifier);
}

static bool decode_export(edr_etf_draft *draft) {
  char room[EDR_ATOM_MAX_BYTES + 1];
  edr_scan_text text;
  int32_t arity;

  /* NOLINTNEXTLINE(misc-redundant-expression): one atom, then another */
  if (!edr_scan_atom(&draft->scan, room, &text) || !edr_scan_atom(&draft->scan, room, &text) ||
      !edr_scan_small(&draft->scan, &arity))
    return false;
  draft->token->kind = EDR_ETF_EXPORT;
  return (arity >= 0 && arity <= 255) || no(draft, "a function of an impossible arity");
}

static bool scan_pid(edr_scan *scan) {
  char room[EDR_ATOM_MAX_BYTES + 1];
  edr_scan_identifier identifier;
  uint8_t tag;

  if (!edr_scan_u8(scan, &tag)) return false;
  if (tag != TAG_PID && tag != TAG_NEW_PID) {
    scan->problem = "another term where a pid is expected";
    return false;
  }
  return edr_scan_identifier_body(scan, tag, room, &identifier);
}

/* A fun up to its free variables, which are its `elements`. */
static bool decode_fun(edr_etf_draft *draft) {
  edr_scan *scan = &draft->scan;
  char room[EDR_ATOM_MAX_BYTES + 1];
  edr_scan_text module;
  const uint8_t *skipped;
  uint32_t size = 0, free_variables;
  int32_t index, uniq;

  draft->token->kind = EDR_ETF_FUN;
  if (!edr_scan_u32(scan, &size)) return false;
  if (size < 4 || size - 4 > edr_scan_left(scan)) return no(draft, "a fun whose size is not that of its bytes");
  draft->fun_end = scan->at + (size - 4);
  /* arity 1, uniq 16, index 4 */
  if (!edr_scan_bytes(scan, 21, &skipped) || !edr_scan_u32(scan, &free_variables) ||
      !edr_scan_atom(scan, room, &module) || !edr_scan_small(scan, &index) || !edr_scan_small(scan, &uniq) ||
      !scan_pid(scan))
    return false;
  if (free_variables > UINT8_MAX) return no(draft, "a fun of more than 255 free variables");
  draft->elements = free_variables;
  return true;
}

static bool decode_compound(edr_etf_draft *draft, uint8_t tag) {
  uint32_t count;
  uint8_t small;

  if (tag == TAG_SMALL_TUPLE) {
    if (!edr_scan_u8(&draft->scan, &small)) return false;
    count = small;
  } else if (!edr_scan_u32(&draft->scan, &count)) {
    return false;
  }
  draft->token->count = count;
  if (tag == TAG_LIST) {
    draft->token->kind = EDR_ETF_LIST;
    draft->elements = (uint64_t)count + 1; /* the tail */
  } else if (tag == TAG_MAP) {
    draft->token->kind = EDR_ETF_MAP;
    draft->elements = (uint64_t)count * 2;
  } else {
    draft->token->kind = EDR_ETF_TUPLE;
    draft->elements = count;
  }
  return true;
}

static bool decode_refused(edr_etf_draft *draft, uint8_t tag) {
  switch (tag) {
  case TAG_COMPRESSED:
    return no(draft, "a compressed term inside another term");
  case TAG_ATOM_CACHE_REF:
    return no(draft, "a reference to an atom cache, which was never agreed on");
  case TAG_FUN:
    return no(draft, "a fun in the form that OTP 23 and later do not read");
  case TAG_LOCAL:
    return no(draft, "a term that only the node that made it can read");
  default:
    return no(draft, "an unknown tag");
  }
}

static bool decode_tagged(edr_etf_draft *draft, uint8_t tag, char *room) {
  switch (tag) {
  case TAG_SMALL_INTEGER:
    return decode_small_integer(draft);
  case TAG_INTEGER:
    return decode_integer(draft);
  case TAG_SMALL_BIG:
  case TAG_LARGE_BIG:
    return decode_big(draft, tag == TAG_LARGE_BIG);
  case TAG_NEW_FLOAT:
    return decode_new_float(draft);
  case TAG_FLOAT:
    return decode_text_float(draft);
  case TAG_ATOM:
  case TAG_SMALL_ATOM:
  case TAG_ATOM_UTF8:
  case TAG_SMALL_ATOM_UTF8:
    return decode_atom(draft, tag, room);
  case TAG_SMALL_TUPLE:
  case TAG_LARGE_TUPLE:
  case TAG_LIST:
  case TAG_MAP:
    return decode_compound(draft, tag);
  case TAG_NIL:
    draft->token->kind = EDR_ETF_NIL;
    return true;
  case TAG_STRING:
    return decode_string(draft);
  case TAG_BINARY:
    return decode_binary(draft);
  case TAG_BIT_BINARY:
    return decode_bit_binary(draft);
  case TAG_PID:
  case TAG_NEW_PID:
    return decode_identifier(draft, tag, EDR_ETF_PID);
  case TAG_PORT:
  case TAG_NEW_PORT:
  case TAG_V4_PORT:
    return decode_identifier(draft, tag, EDR_ETF_PORT);
  case TAG_REFERENCE:
  case TAG_NEW_REFERENCE:
  case TAG_NEWER_REFERENCE:
    return decode_identifier(draft, tag, EDR_ETF_REF);
  case TAG_NEW_FUN:
    return decode_fun(draft);
  case TAG_EXPORT:
    return decode_export(draft);
  default:
    return decode_refused(draft, tag);
  }
}

bool edr_etf_decode(edr_etf_draft *draft, const uint8_t *at, const uint8_t *end, char *room, edr_etf_token *out_token) {
  uint8_t tag;

  *out_token = (edr_etf_token){.kind = EDR_ETF_NIL};
  *draft = (edr_etf_draft){.scan = {.at = at, .end = end}, .token = out_token};
  do {
    out_token->raw = draft->scan.at;
    draft->elements = 0;
    if (!edr_scan_u8(&draft->scan, &tag) || !decode_tagged(draft, tag, room)) return false;
  } while (tag == TAG_LIST && out_token->count == 0);
  out_token->raw_size = (size_t)(draft->scan.at - out_token->raw);
  return true;
}
