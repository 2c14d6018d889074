/* TLS over a connected socket, by OpenSSL: 1.2 and 1.3, as a client. The peer's certificate is checked against a CA and
 * the host's name unless that was given up by name. Nothing here waits but the opening, and no write raises SIGPIPE.
 * Knows nothing of distribution. One thread at a time: an SSL object bears no reader beside a writer. */
#ifndef EDR_TLS_H
#define EDR_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct edr_tls_options {
  const char *cacertfile; /* PEM: the CA that we trust. Only with `verify_none` may it be missing */
  const char *certfile;   /* PEM: who we are, with the certificates above it; NULL: nobody */
  const char *keyfile;    /* PEM, ours or root's and nobody else's; NULL: it is in `certfile` */
  const char *password;   /* of the key; NULL: it has none. Nobody is ever asked for one */
  const char
      *server_name; /* the one name that must be in the peer's certificate; NULL: the host that is connected to */
  bool verify_none; /* take any certificate: an eavesdropper who answers in the node's place is not noticed */
} edr_tls_options;

typedef struct edr_tls edr_tls;

/* Shakes hands over `fd`, which stays the caller's. `host` is the name to be checked where no server_name is given. On
 * failure `error` has a text that begins with what went wrong, for the caller to say with whom.
 * EDR_ETLS (with OpenSSL's reason: a file, a certificate, the peer's alert, or no TLS at all), EDR_ENODEDOWN (it closed
 * the connection before it had said anything), EDR_ETIMEOUT, EDR_EINTERRUPTED, EDR_ENOMEM, EDR_ESYSTEM. */
edr_status edr_tls_open(int fd, const edr_tls_options *options, const char *host, int64_t deadline_ms,
                        edr_tls **out_tls, edr_error *error);

/* Says good-bye where that takes no waiting, and frees. NULL is fine. */
void edr_tls_free(edr_tls *tls);

/* At least one byte, or EDR_EAGAIN: poll for edr_tls_events first. EDR_ENODEDOWN: the stream has ended or broke (errno,
 * 0 for the end); EDR_ETLS: edr_tls_reason says why (errno is EPROTO); EDR_ENOMEM (errno, too). These two stay. */
edr_status edr_tls_read(edr_tls *tls, uint8_t *data, size_t size, size_t *out_size);

/* The same for writing: takes a record at a time. What it takes may not be sent yet. */
edr_status edr_tls_write(edr_tls *tls, const uint8_t *data, size_t size, size_t *out_size);

/* Sends what the socket did not take of what was written. EDR_OK: all is sent; EDR_EAGAIN, EDR_ENODEDOWN. */
edr_status edr_tls_flush(edr_tls *tls);
size_t edr_tls_unsent(const edr_tls *tls); /* how many bytes those are: a record or two at most */

/* What to poll for, given that there is something to write or not. */
short edr_tls_events(const edr_tls *tls, bool writing);

/* Whether bytes may wait inside, of which poll says nothing. */
bool edr_tls_pending(const edr_tls *tls);

/* Why it failed with EDR_ETLS, or "". */
const char *edr_tls_reason(const edr_tls *tls);

#endif
