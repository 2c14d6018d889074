/* A connection's bytes, over TCP, TLS, or what ssh carries: who reads and writes need not know which. Nothing here
 * waits except the two functions with a deadline. One thread at a time: where two share it, one lock is for reading and
 * writing both. */
#ifndef EDR_TRANSPORT_H
#define EDR_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"
#include "tls.h"
#include "tunnel.h"

typedef struct edr_transport {
  int fd;             /* non-blocking; -1: none */
  edr_tls *tls;       /* NULL: in the clear */
  edr_tunnel *tunnel; /* NULL: straight there; else ssh carries it */
} edr_transport;

static inline edr_transport edr_transport_tcp(int fd) {
  return (edr_transport){fd, NULL, NULL};
}

/* At least one byte, or EDR_EAGAIN. EDR_ENODEDOWN at the end and where the connection broke (errno; 0 for the end),
 * EDR_ETLS, EDR_ENOMEM, EDR_ESYSTEM. */
edr_status edr_transport_read(edr_transport *transport, uint8_t *data, size_t size, size_t *out_size);

/* Whether a read that gave less than it could has left nothing behind. TLS gives a record at a time. */
static inline bool edr_transport_gives_all(const edr_transport *transport) {
  return transport->tls == NULL;
}

/* As reading, for writing. A part of what it takes may not be sent yet: edr_transport_unsent says how much, and the
 * next write, or flush, sends it. */
edr_status edr_transport_write(edr_transport *transport, const uint8_t *data, size_t size, size_t *out_size);

/* EDR_OK: all is sent; EDR_EAGAIN, EDR_ENODEDOWN. */
edr_status edr_transport_flush(edr_transport *transport);
size_t edr_transport_unsent(const edr_transport *transport);

/* What to poll for, given that there is something to write or not. */
short edr_transport_events(const edr_transport *transport, bool writing);

/* Whether there may be bytes to read of which poll says nothing: don't wait, read. */
bool edr_transport_pending(const edr_transport *transport);

/* In words, what errno does not say of a failure: OpenSSL's reason, ssh's, or "". */
const char *edr_transport_reason(const edr_transport *transport);

/* All of it, under a deadline: for handshakes. As the above, and EDR_ETIMEOUT (also where the peer drips),
 * EDR_EINTERRUPTED. */
edr_status edr_transport_read_all(edr_transport *transport, uint8_t *data, size_t size, int64_t deadline_ms);
edr_status edr_transport_write_all(edr_transport *transport, const uint8_t *data, size_t size, int64_t deadline_ms);

/* Ends TLS, closes the descriptor, ends the tunnel, for which it may wait some seconds. Idempotent. */
void edr_transport_close(edr_transport *transport);

#endif
