/* The handshake, read along; contracts in handshake.h. Bytes only. */
#include "handshake.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "cookie.h"

/* Capability flags that matter here and nowhere else. */
#define DFLAG_MANDATORY_25_DIGEST ((uint64_t)0x4000000)
/* What the digest stands for: EXTENDED_REFERENCES, FUN_TAGS, NEW_FUN_TAGS, EXTENDED_PIDS_PORTS, EXPORT_PTR_TAG,
 * BIT_BINARIES, NEW_FLOATS, UTF8_ATOMS, MAP_TAG, BIG_CREATION, HANDSHAKE_23. */
#define DFLAG_MANDATORY_25 ((uint64_t)0x1070F94)

enum {
  CHALLENGE_NAME_OFFSET = 1 + 8 + 4 + 4 + 2, /* tag, flags, challenge, creation, length of the name */
  GIVEN_NAME_OFFSET = 7 + 2,                 /* "snamed:", length of the name */
  /* ei keeps status packets of up to 100 bytes on its stack; for longer ones it frees a pointer into the middle of a
   * block, or none. The name is a dozen letters and our own host's name, so it never has to be longer. */
  GIVEN_NAME_PACKET_MAX = 100,
  REPLY_SIZE = 1 + 4 + EDR_MD5_SIZE, /* tag, our challenge, digest */
  ACK_SIZE = 1 + EDR_MD5_SIZE,
  TLS_ALERT = 0x1503 /* the first two bytes of a TLS alert, read as a length */
};

static uint16_t read_u16(const uint8_t *data) {
  return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t read_u32(const uint8_t *data) {
  return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static uint64_t read_flags(const uint8_t *data, int size) {
  uint64_t value = 0;
  for (int i = 0; i < size; i++) value = value << 8 | data[i];
  return value;
}

/* A few bytes of the peer's as text: a status or a name, made harmless. */
static const char *printable(const uint8_t *data, size_t size, char text[64]) {
  size_t i;
  for (i = 0; i < size && i < 63; i++) text[i] = (char)(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '?');
  text[i] = '\0';
  return text;
}

void edr_handshake_init(edr_handshake *handshake, const char *node, const char *our_name, const char *cookie) {
  memset(handshake, 0, sizeof *handshake);
  handshake->node = node;
  handshake->our_name = our_name;
  handshake->cookie = cookie;
  handshake->stage = EDR_HANDSHAKE_STATUS;
}

void edr_handshake_send(edr_handshake *handshake, uint8_t *packet, size_t size) {
  size_t low_byte;
  if (size >= 1 + 8 && packet[0] == 'N') {
    low_byte = 8;
    packet[low_byte] |= (uint8_t)EDR_DFLAG_DIST_MONITOR_NAME;
    handshake->our_flags = read_flags(packet + 1, 8);
  } else if (size >= 1 + 2 + 4 && packet[0] == 'n') { /* the form before OTP 23: a version, 32 flags */
    low_byte = 6;
    packet[low_byte] |= (uint8_t)EDR_DFLAG_DIST_MONITOR_NAME;
    handshake->our_flags = read_flags(packet + 3, 4);
  } else if (size >= 1 + 4 && packet[0] == 'c') { /* the other 32, once the peer turned out to be new */
    handshake->our_flags |= read_flags(packet + 1, 4) << 32;
  } else if (size == REPLY_SIZE && packet[0] == 'r') {
    handshake->our_challenge = read_u32(packet + 1);
    edr_cookie_digest(handshake->cookie, handshake->peer_challenge, packet + 1 + 4);
  }
}

static bool is_text(const uint8_t *packet, size_t size, const char *text) {
  return size == strlen(text) && memcmp(packet, text, size) == 0;
}

/* The name that the node gives us: ei copies it into buffers of its own and looks for the @ in it. */
static bool given_name_valid(const uint8_t *packet, size_t size) {
  const uint8_t *name = packet + GIVEN_NAME_OFFSET, *at;
  size_t length;
  if (size < GIVEN_NAME_OFFSET || size > GIVEN_NAME_PACKET_MAX) return false;
  length = read_u16(packet + GIVEN_NAME_OFFSET - 2);
  if (size < GIVEN_NAME_OFFSET + length + 4 || memchr(name, 0, length) != NULL) return false;
  at = memchr(name, '@', length);
  return at != NULL && at != name && at != name + length - 1 && edr_etf_atom_valid((const char *)name, length);
}

static edr_status receive_status(edr_handshake *handshake, const uint8_t *packet, size_t size, edr_error *error) {
  const char *us = handshake->our_name != NULL ? handshake->our_name : "a node without a name of its own";
  char text[64];
  if (size >= 7 && memcmp(packet, "snamed:", 7) == 0) {
    if (handshake->our_name == NULL && given_name_valid(packet, size)) return EDR_OK;
    return edr_error_set(error, EDR_EPROTOCOL, 0, "node %s gave us a name that cannot be used", handshake->node);
  }
  if (is_text(packet, size, "sok") || is_text(packet, size, "sok_simultaneous")) {
    if (handshake->our_name != NULL) return EDR_OK;
    return edr_error_set(error, EDR_EPROTOCOL, 0, "node %s did not give us a name, as OTP 23 and later do",
                         handshake->node);
  }
  if (is_text(packet, size, "snot_allowed")) {
    return edr_error_set(error, EDR_ENOTALLOWED, 0,
                         "node %s does not allow connections from %s: it has a list of who may connect "
                         "(net_kernel:allow/1); connect under a name on it",
                         handshake->node, us);
  }
  if (is_text(packet, size, "salive")) {
    return edr_error_set(error, EDR_EALIVE, 0,
                         "node %s has a connection to a node named %s already: close that one, or take another name",
                         handshake->node, us);
  }
  if (is_text(packet, size, "snok")) {
    return edr_error_set(error, EDR_EALIVE, 0,
                         "node %s is just connecting to %s itself: try again, or take another "
                         "name",
                         handshake->node, us);
  }
  return edr_error_set(error, EDR_EPROTOCOL, 0, "node %s answered with a status that is not known: \"%s\"",
                       handshake->node, printable(packet, size, text));
}

static edr_status receive_challenge(edr_handshake *handshake, const uint8_t *packet, size_t size, edr_error *error) {
  const uint8_t *name = packet + CHALLENGE_NAME_OFFSET;
  size_t length;
  uint64_t flags;
  char text[64];
  if (size >= 1 && packet[0] == 'n') {
    return edr_error_set(error, EDR_EPROTOCOL, 0, "node %s is older than OTP 23", handshake->node);
  }
  if (size < CHALLENGE_NAME_OFFSET || packet[0] != 'N' ||
      (length = read_u16(name - 2)) > size - CHALLENGE_NAME_OFFSET || length > EDR_NODE_NAME_MAX) {
    return edr_error_set(error, EDR_EPROTOCOL, 0, "node %s sent a challenge that is not one", handshake->node);
  }
  if (length != strlen(handshake->node) || memcmp(name, handshake->node, length) != 0) {
    return edr_error_set(
        error, EDR_ENODEDOWN, 0,
        "another node answers where %s was looked for: it calls itself %s. Ask for it by that name, or "
        "mend the address or port",
        handshake->node, printable(name, length, text));
  }
  handshake->peer_challenge = read_u32(packet + 1 + 8);
  flags = read_flags(packet + 1, 8);
  if ((flags & DFLAG_MANDATORY_25_DIGEST) != 0) flags |= DFLAG_MANDATORY_25;
  handshake->peer_flags = flags;
  return EDR_OK;
}

/* `packet` is an ack: the peer's proof that it knows the cookie. */
static edr_status receive_proof(const edr_handshake *handshake, uint8_t *packet, edr_error *error) {
  uint8_t expected[EDR_MD5_SIZE];
  edr_cookie_digest(handshake->cookie, handshake->our_challenge, expected);
  if (CRYPTO_memcmp(packet + 1, expected, sizeof expected) != 0) {
    return edr_error_set(error, EDR_EAUTH, 0,
                         "node %s has another cookie than we have: it took ours, but could not prove that it knows it",
                         handshake->node);
  }
  edr_cookie_digest(EDR_HANDSHAKE_STAND_IN, handshake->our_challenge, packet + 1);
  return EDR_OK;
}

edr_status edr_handshake_receive(edr_handshake *handshake, uint8_t *packet, size_t size, edr_error *error) {
  edr_status status = EDR_EPROTOCOL;
  if (size == TLS_ALERT) {
    return edr_error_set(error, EDR_ETLS, 0,
                         "node %s wants TLS (it was started with -proto_dist inet_tls): give the option "
                         "tls, with at least a cacertfile",
                         handshake->node);
  }
  if (size == 0 || size > EDR_HANDSHAKE_PACKET_MAX) {
    return edr_error_set(error, EDR_EPROTOCOL, 0, "node %s sent a handshake packet of %zu bytes", handshake->node,
                         size);
  }
  switch (handshake->stage) {
  case EDR_HANDSHAKE_STATUS:
    status = receive_status(handshake, packet, size, error);
    break;
  case EDR_HANDSHAKE_CHALLENGE:
    status = receive_challenge(handshake, packet, size, error);
    break;
  case EDR_HANDSHAKE_ACK:
    if (size == ACK_SIZE && packet[0] == 'a') {
      status = receive_proof(handshake, packet, error);
      break;
    }
    /* fall through */
  case EDR_HANDSHAKE_DONE:
    edr_error_set(error, EDR_EPROTOCOL, 0, "node %s did not end the handshake as it should", handshake->node);
    break;
  }
  if (status == EDR_OK) handshake->stage++;
  return status;
}
