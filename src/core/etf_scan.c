#include "etf_scan.h"

#include <string.h>

static bool no(edr_scan *scan, const char *problem) {
  scan->problem = problem;
  return false;
}

static bool is_ascii(const uint8_t *data, size_t size) {
  uint8_t seen = 0;
  for (size_t i = 0; i < size; i++) seen |= data[i];
  return seen < 0x80;
}

/* The size of the UTF-8 character at `data`, 0 where there is none: no overlong forms, no surrogates, no end in the
 * middle. */
static size_t utf8_size(const uint8_t *data, size_t left) {
  uint8_t lead = data[0], lowest = 0x80, highest = 0xBF;
  size_t size;

  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size > left) return 0;
  if (lead == 0xE0) lowest = 0xA0;
  if (lead == 0xED) highest = 0x9F;
  if (lead == 0xF0) lowest = 0x90;
  if (lead == 0xF4) highest = 0x8F;
  if (data[1] < lowest || data[1] > highest) return 0;
  for (size_t i = 2; i < size; i++)
    if ((data[i] & 0xC0) != 0x80) return 0;
  return size;
}

bool edr_etf_utf8_valid(const char *utf8, size_t size) {
  const uint8_t *data = (const uint8_t *)utf8;
  for (size_t at = 0, step; at < size; at += step) {
    step = utf8_size(data + at, size - at);
    if (step == 0) return false;
  }
  return true;
}

bool edr_etf_atom_valid(const char *utf8, size_t size) {
  const uint8_t *data = (const uint8_t *)utf8;
  size_t characters = 0;

  if (size > EDR_ATOM_MAX_BYTES) return false;
  if (is_ascii(data, size)) return size <= EDR_ATOM_MAX_CHARS;
  for (size_t at = 0, step; at < size; at += step) {
    step = utf8_size(data + at, size - at);
    if (step == 0 || ++characters > EDR_ATOM_MAX_CHARS) return false;
  }
  return true;
}

static size_t latin1_to_utf8(const uint8_t *data, size_t size, char *room) {
  size_t used = 0;
  for (size_t i = 0; i < size; i++) {
    if (data[i] < 0x80) {
      room[used++] = (char)data[i];
    } else {
      room[used++] = (char)(0xC0 | data[i] >> 6);
      room[used++] = (char)(0x80 | (data[i] & 0x3F));
    }
  }
  return used;
}

bool edr_scan_atom_body(edr_scan *scan, uint8_t tag, char *room, edr_scan_text *out_text) {
  const uint8_t *data;
  uint16_t size;
  uint8_t small;

  if (tag == TAG_SMALL_ATOM || tag == TAG_SMALL_ATOM_UTF8) {
    if (!edr_scan_u8(scan, &small)) return false;
    size = small;
  } else if (!edr_scan_u16(scan, &size)) {
    return false;
  }
  if (!edr_scan_bytes(scan, size, &data)) return false;
  if (tag == TAG_SMALL_ATOM_UTF8 || tag == TAG_ATOM_UTF8) {
    if (!edr_etf_atom_valid((const char *)data, size))
      return no(scan, "an atom that is not UTF-8 of at most 255 characters");
  } else {
    if (size > EDR_ATOM_MAX_CHARS) return no(scan, "an atom of more than 255 characters");
    if (!is_ascii(data, size)) {
      out_text->size = latin1_to_utf8(data, size, room);
      out_text->data = (const uint8_t *)room;
      return true;
    }
  }
  out_text->data = data;
  out_text->size = size;
  return true;
}

bool edr_scan_atom(edr_scan *scan, char *room, edr_scan_text *out_text) {
  uint8_t tag;
  if (!edr_scan_u8(scan, &tag)) return false;
  if (tag != TAG_ATOM && tag != TAG_SMALL_ATOM && tag != TAG_ATOM_UTF8 && tag != TAG_SMALL_ATOM_UTF8)
    return no(scan, "another term where an atom is expected");
  return edr_scan_atom_body(scan, tag, room, out_text);
}

/* The creation of a node took one byte in the old tags, of which two bits count, and takes four in the new ones. */
static bool scan_creation(edr_scan *scan, bool old, uint32_t *out_creation) {
  uint8_t small;
  if (!old) return edr_scan_u32(scan, out_creation);
  if (!edr_scan_u8(scan, &small)) return false;
  *out_creation = small;
  return small <= 3 || no(scan, "a creation of more than two bits in an old identifier");
}

static bool scan_words(edr_scan *scan, size_t count, uint32_t *out_words) {
  for (size_t i = 0; i < count; i++)
    if (!edr_scan_u32(scan, &out_words[i])) return false;
  return true;
}

static bool first_word_fits(edr_scan *scan, const edr_scan_identifier *reference) {
  return reference->words[0] < 1u << 18 || no(scan, "a first word of more than 18 bits in an old reference");
}

bool edr_scan_identifier_body(edr_scan *scan, uint8_t tag, char *room, edr_scan_identifier *out) {
  bool old = tag == TAG_PID || tag == TAG_PORT || tag == TAG_REFERENCE || tag == TAG_NEW_REFERENCE;
  bool counted = tag == TAG_NEW_REFERENCE || tag == TAG_NEWER_REFERENCE;
  uint16_t count = 1;

  if (counted) {
    if (!edr_scan_u16(scan, &count)) return false;
    if (count == 0 || count > EDR_REF_MAX_WORDS) return no(scan, "a reference of an impossible length");
  }
  if (!edr_scan_atom(scan, room, &out->node)) return false;
  if (memchr(out->node.data, 0, out->node.size) != NULL) return no(scan, "a node name with a zero byte");
  if (counted) {
    out->word_count = count;
    return scan_creation(scan, old, &out->creation) && scan_words(scan, count, out->words) &&
           (!old || first_word_fits(scan, out));
  }
  out->word_count = tag == TAG_REFERENCE ? 1 : 2;
  if (tag == TAG_PORT || tag == TAG_NEW_PORT) {
    out->words[0] = 0;
    return edr_scan_u32(scan, &out->words[1]) && scan_creation(scan, old, &out->creation);
  }
  return scan_words(scan, out->word_count, out->words) && scan_creation(scan, old, &out->creation) &&
         (tag != TAG_REFERENCE || first_word_fits(scan, out));
}
