/* TCP or TLS; contracts in transport.h. */
#include "transport.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "socket.h"

edr_status edr_transport_read(edr_transport *transport, uint8_t *data, size_t size, size_t *out_size) {
  if (transport->tls != NULL) return edr_tls_read(transport->tls, data, size, out_size);
  return edr_socket_receive(transport->fd, data, size, out_size);
}

edr_status edr_transport_write(edr_transport *transport, const uint8_t *data, size_t size, size_t *out_size) {
  if (transport->tls != NULL) return edr_tls_write(transport->tls, data, size, out_size);
  return edr_socket_send(transport->fd, data, size, out_size);
}

edr_status edr_transport_flush(edr_transport *transport) {
  return transport->tls != NULL ? edr_tls_flush(transport->tls) : EDR_OK;
}

size_t edr_transport_unsent(const edr_transport *transport) {
  return transport->tls != NULL ? edr_tls_unsent(transport->tls) : 0;
}

short edr_transport_events(const edr_transport *transport, bool writing) {
  if (transport->tls != NULL) return edr_tls_events(transport->tls, writing);
  return (short)(writing ? POLLIN | POLLOUT : POLLIN);
}

bool edr_transport_pending(const edr_transport *transport) {
  return transport->tls != NULL && edr_tls_pending(transport->tls);
}

const char *edr_transport_reason(const edr_transport *transport) {
  const char *reason = transport->tls != NULL ? edr_tls_reason(transport->tls) : "";
  return reason[0] == '\0' && transport->tunnel != NULL ? edr_tunnel_reason(transport->tunnel) : reason;
}

edr_status edr_transport_read_all(edr_transport *transport, uint8_t *data, size_t size, int64_t deadline_ms) {
  size_t done = 0, got;
  while (done < size) {
    edr_status status;
    if (edr_deadline_poll_ms(deadline_ms) == 0) return EDR_ETIMEOUT;
    status = edr_transport_read(transport, data + done, size - done, &got);
    if (status == EDR_OK) {
      done += got;
    } else if (status != EDR_EAGAIN) {
      return status;
    } else {
      status = edr_socket_wait(transport->fd, edr_transport_events(transport, false), deadline_ms);
      if (status != EDR_OK) return status;
    }
  }
  return EDR_OK;
}

edr_status edr_transport_write_all(edr_transport *transport, const uint8_t *data, size_t size, int64_t deadline_ms) {
  size_t done = 0, sent = 0;
  while (done < size || edr_transport_unsent(transport) > 0) {
    edr_status status;
    if (edr_deadline_poll_ms(deadline_ms) == 0) return EDR_ETIMEOUT;
    if (done < size) {
      status = edr_transport_write(transport, data + done, size - done, &sent);
      if (status == EDR_OK) done += sent;
    } else {
      status = edr_transport_flush(transport);
    }
    /* The peer may talk while we wait; what it says is read later. */
    if (status == EDR_EAGAIN) status = edr_socket_wait(transport->fd, POLLOUT, deadline_ms);
    if (status != EDR_OK) return status;
  }
  return EDR_OK;
}

void edr_transport_close(edr_transport *transport) {
  edr_tls_free(transport->tls);
  transport->tls = NULL;
  if (transport->fd >= 0) close(transport->fd);
  transport->fd = -1;
  edr_tunnel_close(transport->tunnel);
  transport->tunnel = NULL;
}
