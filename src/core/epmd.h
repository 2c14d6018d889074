/* Asks epmd for the port of a node: PORT_PLEASE2_REQ of the "EPMD Protocol" section of the distribution protocol.
 * The bytes are built and read here without a socket; edr_epmd_lookup does the talking. */
#ifndef EDR_EPMD_H
#define EDR_EPMD_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "status.h"

#define EDR_EPMD_DEFAULT_PORT 4369

/* Appends PORT_PLEASE2_REQ for `alive`, the part of a node's name before the @. EDR_EBADARG where it is empty or too
 * long. */
edr_status edr_epmd_put_port_please(edr_buf *buf, const char *alive);

/* Reads PORT2_RESP. EDR_EAGAIN while bytes are missing, EDR_ENODEDOWN where epmd does not know the name, EDR_EPROTOCOL.
 */
edr_status edr_epmd_read_port_resp(const uint8_t *data, size_t size, uint16_t *out_port);

/* Asks the epmd on `host` (name or IP address) at `epmd_port` (0: ERL_EPMD_PORT or the default).
 * EDR_EBADARG (also: ERL_EPMD_PORT is no port), EDR_EUNKNOWNHOST, EDR_ENOEPMD, EDR_ENODEDOWN, EDR_ETIMEOUT,
 * EDR_EPROTOCOL (it hung up or is no epmd), EDR_EINTERRUPTED, EDR_ENOMEM, EDR_ESYSTEM. Waits as edr_socket_connect
 * does. */
edr_status edr_epmd_lookup(const char *host, uint16_t epmd_port, const char *alive, int64_t deadline_ms,
                           uint16_t *out_port, edr_error *error);

/* The same, as `via` sees that host, to which ssh connects. Besides: EDR_ESSH, where ssh does not get there. */
edr_status edr_epmd_lookup_via(const char *via, const char *host, uint16_t epmd_port, const char *alive,
                               int64_t deadline_ms, uint16_t *out_port, edr_error *error);

/* NAMES_REQ: appends what the epmd on `host` says of the nodes that it knows, lines of text that nobody has checked.
 * EDR_EBADARG (ERL_EPMD_PORT), EDR_ELIMIT (more than 256 kB), and as edr_epmd_lookup, but for EDR_ENODEDOWN. */
edr_status edr_epmd_names(const char *host, uint16_t epmd_port, int64_t deadline_ms, edr_buf *text);

#endif
