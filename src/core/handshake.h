/* Reads along in erl_interface's handshake, packet by packet: sets the one flag that ei does not announce, checks each
 * packet of the peer before ei sees it (ei's buffers are fixed, its checks are not complete), and remembers how far
 * it got, which is how a wrong cookie is told from a dead node. It also does what takes the cookie: ei, which would
 * keep a copy in a table of its own, works with a stand-in. Knows no socket and calls nothing of ei. Source: erts
 * "Distribution Protocol", section "Distribution Handshake". */
#ifndef EDR_HANDSHAKE_H
#define EDR_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* Bytes of one packet, without its length: the longest that is taken, or sent. */
#define EDR_HANDSHAKE_PACKET_MAX 1024

/* A node's name fits ei's buffers, and an atom, up to here. */
#define EDR_NODE_NAME_MAX 255

/* What ei takes for the cookie. */
#define EDR_HANDSHAKE_STAND_IN "stand_in"

/* What the peer is to send next. */
typedef enum edr_handshake_stage {
  EDR_HANDSHAKE_STATUS,
  EDR_HANDSHAKE_CHALLENGE,
  EDR_HANDSHAKE_ACK, /* it has the digest of our cookie: if it hangs up now, that was wrong */
  EDR_HANDSHAKE_DONE
} edr_handshake_stage;

typedef struct edr_handshake {
  const char *node;     /* the node that we mean; the caller's */
  const char *our_name; /* NULL: the node is to give us one */
  const char *cookie;   /* the caller's */
  uint32_t our_challenge, peer_challenge;
  edr_handshake_stage stage;
  uint64_t our_flags, peer_flags;
} edr_handshake;

void edr_handshake_init(edr_handshake *handshake, const char *node, const char *our_name, const char *cookie);

/* A packet of ours, without its length, on its way out: sets DIST_MONITOR_NAME in our name, keeps our flags; puts
 * the digest of the cookie in place of the stand-in's. */
void edr_handshake_send(edr_handshake *handshake, uint8_t *packet, size_t size);

/* A whole packet of the peer, without its length. Only after EDR_OK may ei see it; a digest that proves that the peer
 * knows the cookie has then become the stand-in's. Of a packet over EDR_HANDSHAKE_PACKET_MAX only the size is looked
 * at, and refused. EDR_ENOTALLOWED, EDR_EALIVE, EDR_ENODEDOWN (another node answers there), EDR_EPROTOCOL, EDR_EAUTH
 * (it has another cookie), EDR_ETLS (it wants TLS and we spoke plainly), each said in `error`. */
edr_status edr_handshake_receive(edr_handshake *handshake, uint8_t *packet, size_t size, edr_error *error);

#endif
