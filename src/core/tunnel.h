/* A connection that the system's ssh carries: `ssh -W ADDRESS:PORT HOST` at the other end of a socket pair. So no port
 * is opened on this machine, and whatever becomes of us, ssh reads the end of its input and ends. Knows no protocol. */
#ifndef EDR_TUNNEL_H
#define EDR_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct edr_tunnel edr_tunnel;

/* What is said where ssh itself failed: its host, its complaint, its host again. */
#define EDR_TUNNEL_BROKEN "ssh to %s did not get there: %s. Nobody is asked for a password: does `ssh %s true` work?"

/* Starts ssh: the program of that name, or what EDELIVER_RELUP_SSH names. `host` is what ssh takes ("user@host", a name
 * of its configuration, "ssh://user@host:port"); `address` and `port` are as that host sees them. ssh asks nobody
 * anything (BatchMode), and gives up connecting at the deadline. The descriptor is a non-blocking socket, the caller's
 * to close. That ssh has started is all that is known then: whether it gets there shows in what is read. EDR_EBADARG (a
 * host that is none), EDR_ESSH (there is no ssh), EDR_ENOMEM, EDR_ESYSTEM; then nothing is left open. */
edr_status edr_tunnel_open(const char *host, const char *address, uint16_t port, int64_t deadline_ms, int *out_fd,
                           edr_tunnel **out_tunnel, edr_error *error);

/* Why there is nothing to be read any more, once the end of the stream was seen: false where ssh ended well, and so it
 * was the other side that hung up. Else true, with what ssh complained of in `text`, in one line; `unreachable` says
 * whether ssh got to its host, and nobody took the connection there. Waits a moment for ssh to end. */
bool edr_tunnel_failed(edr_tunnel *tunnel, char *text, size_t size, bool *out_unreachable);

/* What ssh has complained of so far, in one line; "" for nothing. Never NULL; the tunnel's own, until it is asked
 * again. */
const char *edr_tunnel_reason(edr_tunnel *tunnel);

/* Ends ssh at once, whatever is still on its way. The tunnel has to be closed all the same. NULL is fine. */
void edr_tunnel_kill(edr_tunnel *tunnel);

/* After the descriptor was closed: gives ssh a second to send what it was given, ends it, frees. NULL is fine. */
void edr_tunnel_close(edr_tunnel *tunnel);

#endif
