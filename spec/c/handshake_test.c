/* The handshake read along, without a socket: what is set on the way out, what is let through to ei, what is not. */
#include "handshake.h"

#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "control.h"
#include "cookie.h"

static const char node[] = "n1@host", cookie[] = "a_cookie";

/* Tag, flags, challenge, creation, length of the name, name. */
static size_t challenge(uint8_t *packet, uint64_t flags, const char *name) {
  size_t length = strlen(name);
  memset(packet, 7, 19);
  packet[0] = 'N';
  for (int i = 0; i < 8; i++) packet[1 + i] = (uint8_t)(flags >> (56 - 8 * i));
  packet[17] = (uint8_t)(length >> 8);
  packet[18] = (uint8_t)length;
  memcpy(packet + 19, name, length);
  return 19 + length;
}

static size_t named(uint8_t *packet, const char *name, size_t length) {
  memcpy(packet, "snamed:", 7);
  packet[7] = (uint8_t)(length >> 8);
  packet[8] = (uint8_t)length;
  memcpy(packet + 9, name, length);
  memset(packet + 9 + length, 1, 4);
  return 9 + length + 4;
}

static edr_status status_packet(const char *our_name, const void *data, size_t size, edr_error *error) {
  edr_handshake handshake;
  edr_status status;
  uint8_t packet[600];
  memcpy(packet, data, size);
  edr_handshake_init(&handshake, node, our_name, cookie);
  status = edr_handshake_receive(&handshake, packet, size, error);
  CHECK(handshake.stage == (status == EDR_OK ? EDR_HANDSHAKE_CHALLENGE : EDR_HANDSHAKE_STATUS));
  return status;
}

static void test_sending(void) {
  uint8_t name[] = {'N', 0, 0, 0, 6, 7, 7, 0x4F, 0x9C, 0, 0, 0, 1, 0, 1, 'h'};
  uint8_t old_name[] = {'n', 0, 5, 7, 7, 0x4F, 0x9C, 'a', '@', 'h'};
  uint8_t complement[] = {'c', 0, 0, 0, 4, 0, 0, 0, 1};
  edr_handshake handshake;
  edr_handshake_init(&handshake, node, NULL, cookie);
  edr_handshake_send(&handshake, name, sizeof name);
  CHECK(name[8] == (0x9C | 0x20) && name[7] == 0x4F && name[9] == 0);
  CHECK(handshake.our_flags == (0x607074F9CULL | EDR_DFLAG_DIST_MONITOR_NAME));
  edr_handshake_init(&handshake, node, "a@h", cookie);
  edr_handshake_send(&handshake, old_name, sizeof old_name);
  CHECK(old_name[6] == (0x9C | 0x20) && old_name[5] == 0x4F && old_name[7] == 'a');
  edr_handshake_send(&handshake, complement, sizeof complement);
  CHECK(handshake.our_flags == (0x407074F9CULL | EDR_DFLAG_DIST_MONITOR_NAME));
}

static void test_status(void) {
  edr_error error = {EDR_OK, 0, ""};
  CHECK(status_packet("a@h", "sok", 3, &error) == EDR_OK);
  CHECK(status_packet("a@h", "sok_simultaneous", 16, &error) == EDR_OK);
  CHECK(status_packet("a@h", "sokay", 5, &error) == EDR_EPROTOCOL);
  CHECK(status_packet(NULL, "sok", 3, &error) == EDR_EPROTOCOL);
  CHECK(status_packet("a@h", "snok", 4, &error) == EDR_EALIVE);
  CHECK(status_packet("a@h", "salive", 6, &error) == EDR_EALIVE && strstr(error.text, "a@h") != NULL);
  CHECK(status_packet(NULL, "snot_allowed", 12, &error) == EDR_ENOTALLOWED && error.code == EDR_ENOTALLOWED);
  CHECK(status_packet("a@h", "", 0, &error) == EDR_EPROTOCOL);
  CHECK(status_packet("a@h", "x", 1, &error) == EDR_EPROTOCOL);
  CHECK(status_packet("a@h", "s\033[2Jhello", 10, &error) == EDR_EPROTOCOL);
  CHECK(strstr(error.text, "?[2Jhello") != NULL && strchr(error.text, '\033') == NULL);
}

static void test_given_name(void) {
  uint8_t packet[600], cut[600];
  char long_name[300];
  edr_error error = {EDR_OK, 0, ""};
  size_t size = named(packet, "ABC@host", 8);
  CHECK(status_packet(NULL, packet, size, &error) == EDR_OK);
  CHECK(status_packet("a@h", packet, size, &error) == EDR_EPROTOCOL); /* nobody asked for a name */
  for (size_t i = 0; i < size; i++) {
    memcpy(cut, packet, i);
    CHECK(status_packet(NULL, cut, i, &error) == EDR_EPROTOCOL);
  }
  CHECK(status_packet(NULL, packet, named(packet, "ABChost", 7), &error) == EDR_EPROTOCOL);
  CHECK(status_packet(NULL, packet, named(packet, "@host", 5), &error) == EDR_EPROTOCOL);
  CHECK(status_packet(NULL, packet, named(packet, "ABC@", 4), &error) == EDR_EPROTOCOL);
  CHECK(status_packet(NULL, packet, named(packet, "A\0@host", 7), &error) == EDR_EPROTOCOL);
  CHECK(status_packet(NULL, packet, named(packet, "A\xff@host", 7), &error) == EDR_EPROTOCOL);
  CHECK(status_packet(NULL, packet, named(packet, "", 0), &error) == EDR_EPROTOCOL);
  /* ei writes one byte past its buffer for an alive part of 255, and mishandles its heap from 100 bytes on */
  memset(long_name, 'a', sizeof long_name);
  long_name[255] = '@';
  CHECK(status_packet(NULL, packet, named(packet, long_name, 257), &error) == EDR_EPROTOCOL);
  long_name[80] = '@';
  CHECK(status_packet(NULL, packet, named(packet, long_name, 87), &error) == EDR_OK);
  CHECK(status_packet(NULL, packet, named(packet, long_name, 88), &error) == EDR_EPROTOCOL);
}

static void ready_for_challenge(edr_handshake *handshake) {
  uint8_t sok[] = {'s', 'o', 'k'};
  edr_handshake_init(handshake, node, "a@h", cookie);
  CHECK(edr_handshake_receive(handshake, sok, 3, NULL) == EDR_OK);
}

static void test_challenge(void) {
  uint8_t packet[600], ack[17] = {'a'}, reply[21] = {'r', 1, 2, 3, 4, 5}, digest[EDR_MD5_SIZE];
  edr_handshake handshake;
  edr_error error = {EDR_OK, 0, ""};
  size_t size = challenge(packet, 0x407074F9C, node);
  ready_for_challenge(&handshake);
  for (size_t i = 1; i < size; i++) CHECK(edr_handshake_receive(&handshake, packet, i, NULL) == EDR_EPROTOCOL);
  CHECK(edr_handshake_receive(&handshake, packet, size, NULL) == EDR_OK);
  /* bit 26 stands for the flags that are mandatory since OTP 25: 0x10000, for one, which is not in the packet */
  CHECK(handshake.stage == EDR_HANDSHAKE_ACK && (handshake.peer_flags & 0x10000) != 0);
  CHECK((handshake.peer_flags & EDR_DFLAG_UNLINK_ID) != 0 && (handshake.peer_flags & EDR_DFLAG_ALIAS) == 0);
  CHECK(edr_handshake_receive(&handshake, ack, 16, NULL) == EDR_EPROTOCOL);
  CHECK(edr_handshake_receive(&handshake, packet, 17, NULL) == EDR_EPROTOCOL);
  /* The digests of the cookie go out and are wanted back; ei sees those of its stand-in. */
  edr_handshake_send(&handshake, reply, sizeof reply);
  edr_cookie_digest(cookie, 0x07070707, digest); /* the challenge in `challenge` */
  CHECK(memcmp(reply, "r\1\2\3\4", 5) == 0 && memcmp(reply + 5, digest, sizeof digest) == 0);
  CHECK(edr_handshake_receive(&handshake, ack, 17, &error) == EDR_EAUTH && handshake.stage == EDR_HANDSHAKE_ACK);
  CHECK(strstr(error.text, "could not prove") != NULL && strstr(error.text, cookie) == NULL);
  edr_cookie_digest(cookie, 0x01020304, ack + 1);
  CHECK(edr_handshake_receive(&handshake, ack, 17, NULL) == EDR_OK && handshake.stage == EDR_HANDSHAKE_DONE);
  edr_cookie_digest(EDR_HANDSHAKE_STAND_IN, 0x01020304, digest);
  CHECK(memcmp(ack + 1, digest, sizeof digest) == 0);
  CHECK(edr_handshake_receive(&handshake, ack, 17, NULL) == EDR_EPROTOCOL);
  ready_for_challenge(&handshake);
  size = challenge(packet, 0x3000000, node);
  CHECK(edr_handshake_receive(&handshake, packet, size, NULL) == EDR_OK && handshake.peer_flags == 0x3000000);
  ready_for_challenge(&handshake);
  size = challenge(packet, 0x407074F9C, "n1@elsewhere");
  CHECK(edr_handshake_receive(&handshake, packet, size, &error) == EDR_ENODEDOWN);
  CHECK(strstr(error.text, "n1@elsewhere") != NULL && strstr(error.text, node) != NULL);
  packet[0] = 'n';
  CHECK(edr_handshake_receive(&handshake, packet, size, &error) == EDR_EPROTOCOL &&
        strstr(error.text, "OTP 23") != NULL);
  CHECK(edr_handshake_receive(&handshake, packet, EDR_HANDSHAKE_PACKET_MAX + 1, &error) == EDR_EPROTOCOL);
}

int main(void) {
  test_sending();
  test_status();
  test_given_name();
  test_challenge();
  return check_done();
}
