/* The instructions of a BEAM file, one after another: the reader of beam.h's lower half. How many operands an
 * instruction has is all that is known of it here; what comes from a newer compiler than the table is refused. */
#include "beam.h"

#include <string.h>

/* By code, from 1. Source: genop.tab of OTP 29. */
static const uint8_t operand_counts[] = {
    0, /* there is no instruction 0 */
    1, 3, 0, 2, 3, 2, 2, 3, 2, 4, 5, 2, 3, 2, 3, 2, 1, 1, 0, 0, 0, 0, 2, 1, 1, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3,
    3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 1, 2, 1, 2, 3, 3, 3, 3, 3, 2, 1, 1, 0, 1, 1, 3, 2, 2,
    2, 5, 5, 5, 4, 2, 1, 1, 2, 2, 5, 5, 5, 2, 1, 0, 1, 2, 2, 4, 4, 4, 4, 3, 1, 2, 1, 1, 1, 2, 6, 3, 5, 1, 2, 2, 3, 5, 7,
    7, 7, 5, 3, 2, 2, 5, 6, 2, 2, 2, 2, 1, 3, 4, 0, 8, 6, 2, 6, 5, 4, 5, 4, 5, 4, 3, 3, 3, 3, 3, 0, 1, 1, 7, 1, 5, 5, 2,
    3, 3, 4, 0, 0, 2, 2, 2, 3, 4, 3, 2, 2, 4, 3, 1, 2, 1, 1, 1, 6, 3, 0, 1, 5, 3, 2, 4, 6, 2, 4, 3, 6, 3, 5};

enum { SUBHEADER = 16 };

edr_status edr_beam_walk_begin(edr_beam_walk *walk, edr_beam *beam, uint32_t *out_functions) {
  const edr_beam_bytes *code = &beam->chunks[EDR_BEAM_CODE];
  uint32_t head;

  if (code->data == NULL) return edr_beam_fail(beam, EDR_EPROTOCOL, "it has no code");
  if (code->size < 4 || (head = edr_beam_u32(code->data)) < SUBHEADER || head > code->size - 4)
    return edr_beam_fail_at(beam, EDR_EPROTOCOL, "its code is cut short", code->data);
  if (edr_beam_u32(code->data + 4) != 0)
    return edr_beam_fail_at(beam, EDR_ENOTSUP, "its instructions are of a newer set", code->data + 4);
  if (out_functions != NULL) *out_functions = edr_beam_u32(code->data + 16);
  *walk = (edr_beam_walk){.beam = beam, .at = code->data + 4 + head, .end = code->data + code->size};
  return EDR_OK;
}

static edr_status cut_short(edr_beam_walk *walk) {
  return edr_beam_fail_at(walk->beam, EDR_EPROTOCOL, "its code is cut short", walk->at);
}

edr_status edr_beam_walk_next(edr_beam_walk *walk, unsigned *out_code, size_t *out_operands) {
  edr_beam_operand passed;
  unsigned code;

  while (walk->left > 0) {
    edr_status status = edr_beam_walk_operand(walk, &passed);
    if (status != EDR_OK) return status;
  }
  if (walk->at == walk->end) return EDR_EAGAIN;
  code = *walk->at;
  if (code == 0) return edr_beam_fail_at(walk->beam, EDR_EPROTOCOL, "its code is damaged", walk->at);
  if (code >= sizeof operand_counts)
    return edr_beam_fail_at(walk->beam, EDR_ENOTSUP, "its instructions are of a newer set", walk->at);
  walk->at++;
  walk->left = operand_counts[code];
  *out_code = code;
  *out_operands = walk->left;
  return EDR_OK;
}

/* A number as beam_asm's encode/2 writes it, behind its tag's three bits: 4 bits, 11 bits, or bytes of their own. */
static edr_status read_value(edr_beam_walk *walk, edr_beam_operand *operand, uint8_t first) {
  size_t size;

  if ((first & 0x08) == 0) {
    operand->value = first >> 4;
    return EDR_OK;
  }
  if ((first & 0x10) == 0) {
    if (walk->at == walk->end) return cut_short(walk);
    operand->value = (int64_t)(first & 0xE0) << 3 | *walk->at++;
    return EDR_OK;
  }
  size = (size_t)(first >> 5) + 2;
  if (size == 9) { /* another number says how many there are */
    edr_beam_operand more = {.kind = EDR_BEAM_U};
    edr_status status;
    if (walk->at == walk->end) return cut_short(walk);
    if ((*walk->at & 0x1F) > 0x0F && (*walk->at >> 5) == 7)
      return edr_beam_fail_at(walk->beam, EDR_ELIMIT, "a number too large", walk->at);
    first = *walk->at++;
    if ((first & 0x07) != 0) return edr_beam_fail_at(walk->beam, EDR_EPROTOCOL, "its code is damaged", walk->at);
    status = read_value(walk, &more, first);
    if (status != EDR_OK) return status;
    if (more.value < 0 || more.value > walk->end - walk->at) return cut_short(walk);
    size = (size_t)more.value + 9;
  }
  if (size > (size_t)(walk->end - walk->at)) return cut_short(walk);
  operand->bytes = (edr_beam_bytes){walk->at, size};
  walk->at += size;
  if (size <= 8) {
    uint64_t bits = (operand->bytes.data[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++) bits = bits << 8 | operand->bytes.data[i];
    memcpy(&operand->value, &bits, sizeof bits);
  }
  return EDR_OK;
}

/* A number that is none of the instruction's operands by itself. */
static edr_status read_unsigned(edr_beam_walk *walk, int64_t *out_value) {
  edr_beam_operand operand = {.kind = EDR_BEAM_U};
  edr_status status;
  uint8_t first;

  if (walk->at == walk->end) return cut_short(walk);
  first = *walk->at++;
  if ((first & 0x07) != 0) return edr_beam_fail_at(walk->beam, EDR_EPROTOCOL, "its code is damaged", walk->at);
  status = read_value(walk, &operand, first);
  if (status == EDR_OK && (operand.value < 0 || operand.bytes.size > 8))
    status = edr_beam_fail_at(walk->beam, EDR_EPROTOCOL, "its code is damaged", walk->at);
  if (status == EDR_OK) *out_value = operand.value;
  return status;
}

static edr_status read_register(edr_beam_walk *walk, edr_beam_operand *operand) {
  uint8_t first;
  if (walk->at == walk->end) return cut_short(walk);
  first = *walk->at++;
  if ((first & 0x07) != 3 && (first & 0x07) != 4)
    return edr_beam_fail_at(walk->beam, EDR_EPROTOCOL, "its code is damaged", walk->at);
  operand->kind = (first & 0x07) == 3 ? EDR_BEAM_X : EDR_BEAM_Y;
  return read_value(walk, operand, first);
}

/* Tag 7: what it is stands in the four upper bits. */
static edr_status read_extended(edr_beam_walk *walk, edr_beam_operand *operand, uint8_t first) {
  int64_t passed;
  edr_status status;

  switch (first >> 4) {
  case 0: /* before R15 */
    operand->kind = EDR_BEAM_FLOAT;
    if (walk->end - walk->at < 8) return cut_short(walk);
    operand->bytes = (edr_beam_bytes){walk->at, 8};
    walk->at += 8;
    return EDR_OK;
  case 1:
    operand->kind = EDR_BEAM_LIST;
    status = read_unsigned(walk, &operand->value);
    if (status == EDR_OK && operand->value > walk->end - walk->at) return cut_short(walk);
    if (status == EDR_OK) walk->left += (size_t)operand->value;
    return status;
  case 2:
    operand->kind = EDR_BEAM_FR;
    return read_unsigned(walk, &operand->value);
  case 3:
    operand->kind = EDR_BEAM_ALLOC;
    status = read_unsigned(walk, &operand->value);
    if (status == EDR_OK && operand->value > (walk->end - walk->at) / 2) return cut_short(walk);
    for (int64_t i = 0; status == EDR_OK && i < 2 * operand->value; i++) status = read_unsigned(walk, &passed);
    return status;
  case 4:
    operand->kind = EDR_BEAM_LITERAL;
    return read_unsigned(walk, &operand->value);
  case 5: /* a register, and what is known of its type */
    status = read_register(walk, operand);
    return status == EDR_OK ? read_unsigned(walk, &passed) : status;
  default:
    return edr_beam_fail_at(walk->beam, EDR_ENOTSUP, "its instructions are of a newer set", walk->at);
  }
}

edr_status edr_beam_walk_operand(edr_beam_walk *walk, edr_beam_operand *out_operand) {
  static const edr_beam_kind kinds[] = {EDR_BEAM_U, EDR_BEAM_INTEGER, EDR_BEAM_NAME,      EDR_BEAM_X,
                                        EDR_BEAM_Y, EDR_BEAM_LABEL,   EDR_BEAM_CHARACTER, EDR_BEAM_LIST};
  edr_beam_operand operand = {.kind = EDR_BEAM_U};
  edr_beam_walk before = *walk;
  edr_status status;
  uint8_t first;

  if (walk->left == 0) return EDR_EAGAIN;
  if (walk->at == walk->end) return cut_short(walk);
  first = *walk->at++;
  walk->left--;
  operand.kind = kinds[first & 0x07];
  status = (first & 0x07) == 7 ? read_extended(walk, &operand, first) : read_value(walk, &operand, first);
  if (status == EDR_OK && operand.kind != EDR_BEAM_INTEGER && operand.value < 0)
    status = edr_beam_fail_at(walk->beam, EDR_EPROTOCOL, "its code is damaged", walk->at);
  if (status != EDR_OK) {
    *walk = before;
    return status;
  }
  *out_operand = operand;
  return EDR_OK;
}
