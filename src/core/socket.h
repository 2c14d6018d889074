/* TCP sockets as the core wants them: non-blocking, close-on-exec, polled under an absolute deadline,
 * written to without SIGPIPE. Any descriptor number, IPv4 and IPv6. Knows no protocol. */
#ifndef EDR_SOCKET_H
#define EDR_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* Connects to `host` (name or IP address): every address that the name has is tried in turn, each with a fair share of
 * the time that is left. The descriptor is the caller's. On failure nothing is left open and `error` (may be NULL) says
 * which address failed, and how.
 * EDR_EUNKNOWNHOST, EDR_EREFUSED (refused or unreachable), EDR_ETIMEOUT, EDR_EINTERRUPTED, EDR_ENOMEM, EDR_ESYSTEM.
 *
 * Resolving a name is getaddrinfo's work, which takes no timeout: a name server that does not answer is waited for as
 * long as resolv.conf says, and the deadline is looked at afterwards. IP addresses are not looked up. */
edr_status edr_socket_connect(const char *host, uint16_t port, int64_t deadline_ms, int *out_fd, edr_error *error);

/* Waits until one of `events` (as poll(2) takes them) may happen on `fd`. A deadline that has passed is EDR_ETIMEOUT,
 * even if the socket is ready, so that a peer that drips bytes cannot stretch it. EDR_EINTERRUPTED where a signal came.
 */
edr_status edr_socket_wait(int fd, short events, int64_t deadline_ms);

/* Without waiting: at least one byte and at most `size`, or EDR_EAGAIN. EDR_ENODEDOWN at the end of the stream and
 * where the connection broke (errno tells: 0 for the end), EDR_ENOMEM, EDR_ESYSTEM. */
edr_status edr_socket_receive(int fd, uint8_t *data, size_t size, size_t *out_size);
edr_status edr_socket_send(int fd, const uint8_t *data, size_t size, size_t *out_size);

/* Reads at least one byte and at most `size`. EDR_ENODEDOWN at the end of the stream and where the connection broke
 * (errno tells: 0 for the end); EDR_ETIMEOUT, EDR_EINTERRUPTED, EDR_ESYSTEM. */
edr_status edr_socket_read_some(int fd, uint8_t *data, size_t size, int64_t deadline_ms, size_t *out_size);

/* Reads exactly `size` bytes. Fails as edr_socket_read_some does; what was read until then is lost. */
edr_status edr_socket_read(int fd, uint8_t *data, size_t size, int64_t deadline_ms);

/* Writes all of it. Fails as edr_socket_read_some does. */
edr_status edr_socket_write(int fd, const uint8_t *data, size_t size, int64_t deadline_ms);

#endif
