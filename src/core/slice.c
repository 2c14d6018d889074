/* Terms in a frame, looked at; the contract is in slice.h. */
#include "slice.h"

#include <string.h>

const edr_etf_limits edr_slice_limits = {
    .max_depth = 1024 + 8, .max_count = (size_t)64 << 20, .max_size = (size_t)512 << 20};

/* A reader for one scalar, which allocates nothing: there is nothing to give back. */
static bool begin(edr_etf_reader *reader, edr_slice slice) {
  if (slice.data == NULL) return false;
  edr_etf_reader_init(reader, slice.data, slice.size, NULL);
  return true;
}

edr_status edr_slice_pid(edr_slice slice, edr_pid *out_pid) {
  edr_etf_reader reader;
  return begin(&reader, slice) ? edr_etf_read_pid(&reader, out_pid) : EDR_EPROTOCOL;
}

edr_status edr_slice_ref(edr_slice slice, edr_ref *out_ref) {
  edr_etf_reader reader;
  return begin(&reader, slice) ? edr_etf_read_ref(&reader, out_ref) : EDR_EPROTOCOL;
}

edr_status edr_slice_int(edr_slice slice, int64_t *out_value) {
  edr_etf_reader reader;
  return begin(&reader, slice) ? edr_etf_read_int(&reader, out_value) : EDR_EPROTOCOL;
}

bool edr_slice_is_atom(edr_slice slice, const char *atom) {
  edr_etf_reader reader;
  return begin(&reader, slice) && edr_etf_read_this_atom(&reader, atom) == EDR_OK;
}

size_t edr_slice_elements(edr_slice slice, edr_slice *elements, size_t max) {
  edr_etf_reader reader;
  size_t arity = 0, i;
  edr_etf_reader_init(&reader, slice.data, slice.size, &edr_slice_limits);
  if (edr_etf_read_tuple(&reader, &arity) != EDR_OK || arity > max) arity = 0;
  for (i = 0; i < arity; i++) {
    elements[i].data = reader.data + reader.offset;
    elements[i].size = slice.size - reader.offset;
    if (i + 1 == arity) break;
    if (edr_etf_skip(&reader) != EDR_OK) {
      arity = 0;
      break;
    }
    elements[i].size = (size_t)(reader.data + reader.offset - elements[i].data);
  }
  edr_etf_reader_deinit(&reader);
  return arity;
}

bool edr_pid_equal(const edr_pid *a, const edr_pid *b) {
  return a->id == b->id && a->serial == b->serial && a->creation == b->creation && strcmp(a->node, b->node) == 0;
}

bool edr_ref_equal(const edr_ref *a, const edr_ref *b) {
  return a->creation == b->creation && a->word_count == b->word_count &&
         memcmp(a->words, b->words, a->word_count * sizeof a->words[0]) == 0 && strcmp(a->node, b->node) == 0;
}
