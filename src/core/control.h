/* Control messages of the distribution: the frame's body taken apart, and put together. Bytes only: no socket, no
 * state. Source: "Distribution Protocol", section "Protocol between Connected Nodes". */
#ifndef EDR_CONTROL_H
#define EDR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "etf.h"
#include "slice.h"
#include "status.h"

/* Capability flags of the handshake that we look at. */
#define EDR_DFLAG_DIST_MONITOR_NAME ((uint64_t)0x20)
#define EDR_DFLAG_UNLINK_ID ((uint64_t)0x2000000)
#define EDR_DFLAG_SPAWN ((uint64_t)1 << 32)
#define EDR_DFLAG_ALIAS ((uint64_t)1 << 35)

typedef enum edr_control_op {
  EDR_CONTROL_SEND = 2,
  EDR_CONTROL_EXIT = 3,
  EDR_CONTROL_UNLINK = 4,
  EDR_CONTROL_REG_SEND = 6,
  EDR_CONTROL_EXIT2 = 8,
  EDR_CONTROL_MONITOR_P = 19,
  EDR_CONTROL_DEMONITOR_P = 20,
  EDR_CONTROL_MONITOR_P_EXIT = 21,
  EDR_CONTROL_SEND_SENDER = 22,
  EDR_CONTROL_PAYLOAD_MONITOR_P_EXIT = 28,
  EDR_CONTROL_SPAWN_REQUEST = 29,
  EDR_CONTROL_SPAWN_REPLY = 31,
  EDR_CONTROL_ALIAS_SEND = 33,
  EDR_CONTROL_UNLINK_ID = 35,
  EDR_CONTROL_UNLINK_ID_ACK = 36
} edr_control_op;

#define EDR_CONTROL_MAX_ELEMENTS 8

typedef struct edr_control {
  int64_t op;
  size_t count;                                 /* elements after the operation */
  edr_slice elements[EDR_CONTROL_MAX_ELEMENTS]; /* checked, well-formed terms */
  edr_slice payload;                            /* what follows the control term; well-formed, too */
  bool
      too_large; /* the last of these terms passes a limit: its slice reaches to the frame's end, and was not checked */
} edr_control;

/* Takes a frame's body (from the pass-through byte 'p' on) apart. The slices point into it. EDR_EPROTOCOL, EDR_ELIMIT;
 * `problem` (may be NULL) then says why in a few words. */
edr_status edr_control_decode(const uint8_t *frame, size_t size, const edr_etf_limits *limits, edr_control *out_control,
                              const char **problem);

/* Building a frame: begin, the control tuple's elements by edr_etf_put_*, then perhaps a payload, then end, which fills
 * in the length. `begin` returns the offset that `end` wants. EDR_ELIMIT for a frame of 4 GiB or more. */
size_t edr_control_begin(edr_buf *buf, edr_control_op op, size_t elements);
void edr_control_payload(edr_buf *buf, const void *term, size_t size);
edr_status edr_control_end(edr_buf *buf, size_t begin);

#endif
