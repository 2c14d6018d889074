/* The questions that are put to epmd; contracts in epmd.h. Protocol: erts "Distribution Protocol", "EPMD Protocol".
 */
#include "epmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "socket.h"
#include "tunnel.h"

enum {
  PORT_PLEASE2_REQ = 122,
  NAMES_REQ = 110,
  PORT2_RESP = 119,
  PROTOCOL_TCP = 0,
  ALIVE_MAX = 255,     /* the longest atom, and what ei has room for */
  RESPONSE_MAX = 1024, /* a name of 255 characters and some extra bytes: nobody sends more */
  NAMES_MAX = 256 * 1024,
  NAMES_OFFSET = 4, /* its own port comes first */
  NAME_OFFSET = 10  /* tag, result, port, type, protocol, two versions */
};

edr_status edr_epmd_put_port_please(edr_buf *buf, const char *alive) {
  size_t size = strlen(alive);
  if (size == 0 || size > ALIVE_MAX) return EDR_EBADARG;
  edr_buf_put_u16(buf, (uint16_t)(size + 1));
  edr_buf_put_u8(buf, PORT_PLEASE2_REQ);
  edr_buf_append(buf, alive, size);
  return edr_buf_status(buf);
}

static uint16_t read_u16(const uint8_t *data) {
  return (uint16_t)(data[0] << 8 | data[1]);
}

edr_status edr_epmd_read_port_resp(const uint8_t *data, size_t size, uint16_t *out_port) {
  size_t needed = NAME_OFFSET + 2;
  uint16_t port;
  if (size >= 1 && data[0] != PORT2_RESP) return EDR_EPROTOCOL;
  if (size < 2) return EDR_EAGAIN;
  if (data[1] != 0) return EDR_ENODEDOWN;
  if (size < needed) return EDR_EAGAIN;
  needed += read_u16(data + NAME_OFFSET) + 2u;
  if (needed > RESPONSE_MAX) return EDR_EPROTOCOL;
  if (size < needed) return EDR_EAGAIN;
  needed += read_u16(data + needed - 2);
  if (needed > RESPONSE_MAX) return EDR_EPROTOCOL;
  if (size < needed) return EDR_EAGAIN;
  port = read_u16(data + 2);
  if (port == 0 || data[5] != PROTOCOL_TCP) return EDR_EPROTOCOL;
  *out_port = port;
  return EDR_OK;
}

/* The port of epmd itself: as given, or as every Erlang program finds it. 0: ERL_EPMD_PORT is not a port. */
static uint16_t port_of_epmd(uint16_t given) {
  const char *text = getenv("ERL_EPMD_PORT");
  char *end;
  long value;
  if (given != 0) return given;
  if (text == NULL || *text == '\0') return EDR_EPMD_DEFAULT_PORT;
  value = strtol(text, &end, 10);
  return *end == '\0' && value > 0 && value <= UINT16_MAX ? (uint16_t)value : 0;
}

/* Asks on an open connection; epmd closes it after its answer. */
static edr_status ask(int fd, const edr_buf *request, int64_t deadline_ms, uint16_t *out_port) {
  uint8_t response[RESPONSE_MAX];
  size_t size = 0, got = 0;
  edr_status status = edr_socket_write(fd, request->data, request->size, deadline_ms);
  if (status != EDR_OK) return status;
  do {
    status = edr_socket_read_some(fd, response + size, sizeof response - size, deadline_ms, &got);
    /* The end of the stream before the end of the answer: not what an epmd does. */
    if (status != EDR_OK) return status == EDR_ENODEDOWN ? EDR_ECLOSED : status;
    size += got;
    status = edr_epmd_read_port_resp(response, size, out_port);
  } while (status == EDR_EAGAIN && size < sizeof response);
  return status == EDR_EAGAIN ? EDR_EPROTOCOL : status;
}

static edr_status say_asking(edr_status status, const char *host, unsigned port, const char *alive, edr_error *error) {
  switch (status) {
  case EDR_OK:
    return EDR_OK;
  case EDR_ENODEDOWN:
    return edr_error_set(error, status, 0,
                         "epmd on %s port %u knows no node \"%s\": is it running, under this name? (epmd -names "
                         "on that host lists them)",
                         host, port, alive);
  case EDR_ETIMEOUT:
    return edr_error_set(error, status, 0, "epmd on %s port %u took the connection but did not answer in time", host,
                         port);
  case EDR_ECLOSED:
  case EDR_EPROTOCOL:
    return edr_error_set(error, EDR_EPROTOCOL, 0, "what listens on %s port %u does not answer as epmd does", host,
                         port);
  default:
    return edr_error_set(error, status, 0, "asking epmd on %s port %u: %s", host, port, edr_status_text(status));
  }
}

static edr_status refuse_port(edr_error *error) {
  return edr_error_set(error, EDR_EBADARG, 0, "ERL_EPMD_PORT is not a port number (1 to 65535)");
}

/* The question about a node, in `request`, which has to be freed only where that worked. */
static edr_status prepare(const char *alive, edr_buf *request, edr_error *error) {
  edr_status status;
  edr_buf_init(request);
  status = edr_epmd_put_port_please(request, alive);
  if (status == EDR_OK) return status;
  edr_buf_deinit(request);
  if (status != EDR_EBADARG) return edr_error_set(error, status, 0, "%s", edr_status_text(status));
  return edr_error_set(error, status, 0, "a node's name has 1 to %d bytes before the @", (int)ALIVE_MAX);
}

edr_status edr_epmd_lookup(const char *host, uint16_t epmd_port, const char *alive, int64_t deadline_ms,
                           uint16_t *out_port, edr_error *error) {
  uint16_t port = port_of_epmd(epmd_port);
  edr_error cause = {EDR_OK, 0, ""};
  edr_status status;
  edr_buf request;
  int fd = -1;
  if (port == 0) return refuse_port(error);
  status = prepare(alive, &request, error);
  if (status != EDR_OK) return status;
  status = edr_socket_connect(host, port, deadline_ms, &fd, &cause);
  if (status == EDR_OK) {
    status = say_asking(ask(fd, &request, deadline_ms, out_port), host, port, alive, error);
    close(fd);
  } else if (status == EDR_EREFUSED) {
    status = edr_error_set(error, EDR_ENOEPMD, cause.sys_errno,
                           "no epmd answers on %s port %u (%s): is a node running there? If epmd listens on another "
                           "port, give it or set ERL_EPMD_PORT; a node without epmd wants its own port given",
                           host, (unsigned)port, strerror(cause.sys_errno));
  } else if (status == EDR_ETIMEOUT) {
    status = edr_error_set(error, status, cause.sys_errno, "epmd on %s port %u could not be reached in time", host,
                           (unsigned)port);
  } else {
    status = edr_error_set(error, status, cause.sys_errno, "%s", cause.text);
  }
  edr_buf_deinit(&request);
  return status;
}

/* What became of a question that ssh was to carry. */
static edr_status say_carried(edr_status status, edr_tunnel *tunnel, const char *via, const char *host, uint16_t port,
                              const char *alive, edr_error *error) {
  char why[200];
  bool unreachable;
  if ((status == EDR_ECLOSED || status == EDR_ENODEDOWN) && edr_tunnel_failed(tunnel, why, sizeof why, &unreachable)) {
    if (!unreachable) return edr_error_set(error, EDR_ESSH, 0, EDR_TUNNEL_BROKEN, via, why, via);
    return edr_error_set(error, EDR_ENOEPMD, 0,
                         "no epmd answers on %s port %u, as %s sees it (ssh: %s): is a node running there? If epmd "
                         "listens on another port, give it; a node without epmd wants its own port given",
                         host, (unsigned)port, via, why);
  }
  if (status == EDR_ETIMEOUT) {
    return edr_error_set(error, status, 0, "epmd on %s port %u did not answer in time through ssh to %s", host,
                         (unsigned)port, via);
  }
  return say_asking(status, host, port, alive, error);
}

edr_status edr_epmd_lookup_via(const char *via, const char *host, uint16_t epmd_port, const char *alive,
                               int64_t deadline_ms, uint16_t *out_port, edr_error *error) {
  const uint16_t port = port_of_epmd(epmd_port);
  edr_tunnel *tunnel = NULL;
  edr_status status;
  edr_buf request;
  int fd = -1;
  if (port == 0) return refuse_port(error);
  status = prepare(alive, &request, error);
  if (status != EDR_OK) return status;
  status = edr_tunnel_open(via, host, port, deadline_ms, &fd, &tunnel, error);
  if (status == EDR_OK) {
    status = say_carried(ask(fd, &request, deadline_ms, out_port), tunnel, via, host, port, alive, error);
    close(fd);
    edr_tunnel_kill(tunnel);
    edr_tunnel_close(tunnel);
  }
  edr_buf_deinit(&request);
  return status;
}

/* All that comes until epmd hangs up. */
static edr_status read_names(int fd, int64_t deadline_ms, edr_buf *text) {
  static const uint8_t request[] = {0, 1, NAMES_REQ};
  uint8_t piece[1024];
  size_t got = 0;
  edr_status status = edr_socket_write(fd, request, sizeof request, deadline_ms);
  while (status == EDR_OK && text->size <= NAMES_MAX) {
    status = edr_socket_read_some(fd, piece, sizeof piece, deadline_ms, &got);
    if (status == EDR_OK) edr_buf_append(text, piece, got);
  }
  if (status == EDR_OK) return EDR_ELIMIT;
  if (status != EDR_ENODEDOWN) return status;
  if (text->size < NAMES_OFFSET) return EDR_EPROTOCOL;
  edr_buf_consume(text, NAMES_OFFSET);
  return edr_buf_status(text);
}

edr_status edr_epmd_names(const char *host, uint16_t epmd_port, int64_t deadline_ms, edr_buf *text) {
  const uint16_t port = port_of_epmd(epmd_port);
  edr_status status;
  int fd = -1;
  if (port == 0) return EDR_EBADARG;
  status = edr_socket_connect(host, port, deadline_ms, &fd, NULL);
  if (status != EDR_OK) return status == EDR_EREFUSED ? EDR_ENOEPMD : status;
  status = read_names(fd, deadline_ms, text);
  close(fd);
  return status;
}
