/* TCP sockets under one deadline; the contracts are in socket.h. Knows no protocol. */
#include "socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "clock.h"

edr_status edr_socket_wait(int fd, short events, int64_t deadline_ms) {
  struct pollfd item = {fd, events, 0};
  int ready, timeout_ms = edr_deadline_poll_ms(deadline_ms);
  if (timeout_ms == 0) return EDR_ETIMEOUT;
  ready = poll(&item, 1, timeout_ms);
  if (ready < 0) return errno == EINTR ? EDR_EINTERRUPTED : EDR_ESYSTEM;
  return ready == 0 ? EDR_ETIMEOUT : EDR_OK;
}

/* What a failed recv, send or connect means. EDR_EAGAIN: wait and try again. */
static edr_status status_of_errno(int number) {
  switch (number) {
  case EAGAIN:
#if EWOULDBLOCK != EAGAIN
  case EWOULDBLOCK:
#endif
    return EDR_EAGAIN;
  case EINTR:
    return EDR_EINTERRUPTED;
  case ENOMEM:
  case ENOBUFS:
    return EDR_ENOMEM;
  case ECONNRESET:
  case EPIPE:
  case ENOTCONN:
  case ECONNABORTED:
  case ETIMEDOUT:
  case EHOSTUNREACH:
  case ENETUNREACH:
  case ENETDOWN:
    return EDR_ENODEDOWN;
  default:
    return EDR_ESYSTEM;
  }
}

edr_status edr_socket_receive(int fd, uint8_t *data, size_t size, size_t *out_size) {
  ssize_t got;
  do got = recv(fd, data, size, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0) return status_of_errno(errno);
  if (got == 0) {
    errno = 0;
    return EDR_ENODEDOWN;
  }
  *out_size = (size_t)got;
  return EDR_OK;
}

edr_status edr_socket_send(int fd, const uint8_t *data, size_t size, size_t *out_size) {
  ssize_t sent;
  do sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return status_of_errno(errno);
  *out_size = (size_t)sent;
  return EDR_OK;
}

edr_status edr_socket_read_some(int fd, uint8_t *data, size_t size, int64_t deadline_ms, size_t *out_size) {
  edr_status status;
  do {
    status = edr_socket_wait(fd, POLLIN, deadline_ms);
    if (status == EDR_OK) status = edr_socket_receive(fd, data, size, out_size);
  } while (status == EDR_EAGAIN);
  return status;
}

edr_status edr_socket_read(int fd, uint8_t *data, size_t size, int64_t deadline_ms) {
  size_t done = 0, got = 0;
  while (done < size) {
    edr_status status = edr_socket_read_some(fd, data + done, size - done, deadline_ms, &got);
    if (status != EDR_OK) return status;
    done += got;
  }
  return EDR_OK;
}

edr_status edr_socket_write(int fd, const uint8_t *data, size_t size, int64_t deadline_ms) {
  size_t done = 0, sent = 0;
  while (done < size) {
    edr_status status = edr_socket_wait(fd, POLLOUT, deadline_ms);
    if (status == EDR_OK) status = edr_socket_send(fd, data + done, size - done, &sent);
    if (status == EDR_OK) done += sent;
    if (status != EDR_OK && status != EDR_EAGAIN) return status;
  }
  return EDR_OK;
}

/* ---- connecting ---- */

/* All addresses of `host`, to be given back with freeaddrinfo. An IP address is tried first, which asks no name server.
 */
static edr_status resolve(const char *host, uint16_t port, struct addrinfo **out_list, edr_error *error) {
  struct addrinfo hints;
  char service[8];
  int result;
  snprintf(service, sizeof service, "%u", (unsigned)port);
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
  result = getaddrinfo(host, service, &hints, out_list);
  if (result == EAI_NONAME) {
    hints.ai_flags = AI_NUMERICSERV;
    result = getaddrinfo(host, service, &hints, out_list);
  }
  switch (result) {
  case 0:
    return EDR_OK;
  case EAI_MEMORY:
    return edr_error_set(error, EDR_ENOMEM, 0, "no memory to look up host \"%s\"", host);
  case EAI_SYSTEM:
    return edr_error_set(error, errno == EINTR ? EDR_EINTERRUPTED : EDR_ESYSTEM, errno,
                         "host \"%s\" could not be looked up: %s", host, strerror(errno));
  default:
    return edr_error_set(
        error, EDR_EUNKNOWNHOST, 0,
        "host \"%s\" is not known here (%s). Give the address of the node's machine: --address, or address = ...", host,
        gai_strerror(result));
  }
}

static edr_status set_option(int fd, int level, int option) {
  int on = 1;
  return setsockopt(fd, level, option, &on, sizeof on) == 0 ? EDR_OK : EDR_ESYSTEM;
}

/* One attempt. On failure `fd` stays open for the caller to close, and errno says why. */
static edr_status connect_to(int fd, const struct addrinfo *address, int64_t deadline_ms) {
  edr_status status;
  int problem = 0;
  socklen_t size = sizeof problem;
  if (set_option(fd, IPPROTO_TCP, TCP_NODELAY) != EDR_OK || set_option(fd, SOL_SOCKET, SO_KEEPALIVE) != EDR_OK) {
    return EDR_ESYSTEM;
  }
  if (edr_deadline_poll_ms(deadline_ms) == 0) return EDR_ETIMEOUT; /* resolving may have taken all the time */
  if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return EDR_OK;
  if (errno == EINTR) return EDR_EINTERRUPTED;
  if (errno == EINPROGRESS) {
    status = edr_socket_wait(fd, POLLOUT, deadline_ms);
    if (status != EDR_OK) return status;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) return EDR_ESYSTEM;
    if (problem == 0) return EDR_OK;
    errno = problem;
  }
  if (errno == ECONNREFUSED) return EDR_EREFUSED;
  if (errno == ETIMEDOUT) return EDR_ETIMEOUT;
  status = status_of_errno(errno);
  return status == EDR_ENODEDOWN ? EDR_EREFUSED : status;
}

/* One address: a socket of its own, closed again if it comes to nothing. */
static edr_status connect_address(const struct addrinfo *address, uint16_t port, int64_t deadline_ms, int *out_fd,
                                  edr_error *error) {
  char text[128]; /* an IPv6 address with its zone is 62 */
  edr_status status;
  int number;
  int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
  if (fd < 0) {
    number = errno;
    /* A kernel without this address family can still reach the others. */
    return edr_error_set(error, number == EAFNOSUPPORT ? EDR_EREFUSED : EDR_ESYSTEM, number,
                         "no socket could be opened: %s", strerror(number));
  }
  status = connect_to(fd, address, deadline_ms);
  if (status == EDR_OK) {
    *out_fd = fd;
    return EDR_OK;
  }
  number = status == EDR_ETIMEOUT ? ETIMEDOUT : errno;
  close(fd);
  if (getnameinfo(address->ai_addr, address->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0) {
    snprintf(text, sizeof text, "its address");
  }
  return edr_error_set(error, status, number, "connecting to %s port %u: %s", text, (unsigned)port, strerror(number));
}

/* When to give up on an address with `left` addresses to go, itself among them. */
static int64_t share_of(int64_t deadline_ms, int64_t left) {
  int64_t now;
  if (deadline_ms == EDR_NEVER || left <= 1) return deadline_ms;
  now = edr_clock_now_ms();
  return deadline_ms <= now ? deadline_ms : now + (deadline_ms - now) / left;
}

edr_status edr_socket_connect(const char *host, uint16_t port, int64_t deadline_ms, int *out_fd, edr_error *error) {
  struct addrinfo *list = NULL;
  const struct addrinfo *address;
  int64_t left = 0;
  edr_status status = resolve(host, port, &list, error);
  if (status != EDR_OK) return status;
  for (address = list; address != NULL; address = address->ai_next) left++;
  status = EDR_EREFUSED;
  for (address = list; address != NULL; address = address->ai_next, left--) {
    status = connect_address(address, port, share_of(deadline_ms, left), out_fd, error);
    if (status != EDR_EREFUSED && status != EDR_ETIMEOUT && status != EDR_ESYSTEM) break;
  }
  freeaddrinfo(list);
  return status;
}
