/* One whole term somewhere in a frame, without a version byte: what it is, and what is in it. Bytes only. */
#ifndef EDR_SLICE_H
#define EDR_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "etf.h"
#include "status.h"

/* `data` is NULL where there is none. */
typedef struct edr_slice {
  const uint8_t *data;
  size_t size;
} edr_slice;

/* The limits of what may come in a frame: a term of full depth, inside of the tuples that carry it, can still be read.
 */
extern const edr_etf_limits edr_slice_limits;

/* A pid, a reference, an integer. EDR_EPROTOCOL where the term is not there or of another kind. */
edr_status edr_slice_pid(edr_slice slice, edr_pid *out_pid);
edr_status edr_slice_ref(edr_slice slice, edr_ref *out_ref);
edr_status edr_slice_int(edr_slice slice, int64_t *out_value);
bool edr_slice_is_atom(edr_slice slice, const char *atom);

/* Takes a well-formed tuple's elements apart, at most `max` of them; 0 where the term is no tuple of 1 to `max`
 * elements. The last one, often the large one, is not read again: it is the rest. */
size_t edr_slice_elements(edr_slice slice, edr_slice *elements, size_t max);

bool edr_pid_equal(const edr_pid *a, const edr_pid *b);
bool edr_ref_equal(const edr_ref *a, const edr_ref *b);

#endif
