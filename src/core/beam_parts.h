/* What the units of the BEAM reader share. */
#ifndef EDR_BEAM_PARTS_H
#define EDR_BEAM_PARTS_H

#include "beam.h"

/* Remembers why, and gives the status back. */
edr_status edr_beam_fail(edr_beam *beam, edr_status status, const char *problem);

/* Four bytes, big-endian. */
uint32_t edr_beam_u32(const uint8_t *at);

#endif
