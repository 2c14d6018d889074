/* Opens an authenticated distribution connection: epmd, TCP (through ssh where asked for), TLS where asked for, and
 * erl_interface's handshake over socket callbacks of our own (poll, one absolute deadline for everything, MSG_NOSIGNAL,
 * any descriptor number, IPv4 and IPv6). Knows nothing of frames after the handshake. */
#ifndef EDR_DIAL_H
#define EDR_DIAL_H

#include <stdint.h>

#include "etf.h"
#include "status.h"
#include "tls.h"
#include "transport.h"

typedef struct edr_dial_options {
  const char *node; /* "name@host", as the node calls itself */
  const char
      *cookie; /* NULL: the user's own, from where Erlang has it: ~/.erlang.cookie, ~/.config/erlang/.erlang.cookie */
  const char *address; /* NULL: the host part of `node`; else an IP address or host name to connect to instead */
  uint16_t port;       /* 0: ask epmd */
  uint16_t epmd_port;  /* 0: ERL_EPMD_PORT, or 4369 */
  const char *name;    /* NULL: the node gives us a name (no clash, no atom left behind); else "name@host" of our own */
  const char *ssh;     /* NULL: straight there; else the host from where the node is reached, by ssh */
  const edr_tls_options *tls; /* NULL: no TLS. The host that a certificate must have is that of `node` */
  int64_t deadline_ms;
} edr_dial_options;

/* An open connection: the caller owns the transport, and ends it with edr_transport_close. */
typedef struct edr_dialed {
  edr_transport transport; /* its descriptor is non-blocking, close-on-exec */
  uint64_t peer_flags;     /* DFLAG_* of the node */
  uint64_t our_flags;      /* DFLAG_* that we announced */
  edr_pid self;            /* a pid of ours, with the node name and creation that we go by */
} edr_dialed;

/* Connects. On failure `error` (may be NULL) says what was tried and what to try next, and nothing is left open.
 * EDR_EBADARG (name without host, a cookie or name that is too long), EDR_EUNKNOWNHOST, EDR_ENOEPMD, EDR_ENODEDOWN
 * (epmd does not know the name, nobody listens where it said, or another node answers there), EDR_EREFUSED (a given
 * port refused), EDR_EAUTH (the node refused our cookie, or we have none), EDR_ENOTALLOWED, EDR_EALIVE, EDR_ETIMEOUT,
 * EDR_EPROTOCOL (also: it hung up before it had seen our cookie), EDR_ETLS (a certificate, theirs or ours, a file of
 * certificates, or only one of us speaks TLS), EDR_ESSH, EDR_EINTERRUPTED, EDR_ENOMEM, EDR_ESYSTEM.
 * One wait is outside the deadline: looking up a host name (getaddrinfo takes no timeout; IP addresses are not looked
 * up). */
edr_status edr_dial(const edr_dial_options *options, edr_dialed *out_dialed, edr_error *error);

#endif
