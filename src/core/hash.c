#include "hash.h"

#include <string.h>

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t rotated(uint64_t value, unsigned bits) {
  return value << bits | value >> (64 - bits);
}

/* The algorithm reads little-endian words. */
static uint64_t word(const uint8_t *at) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
#else
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | at[i];
  return value;
#endif
}

static uint32_t half_word(const uint8_t *at) {
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t round_of(uint64_t lane, uint64_t input) {
  return rotated(lane + input * P2, 31) * P1;
}
static uint64_t merged(uint64_t hash, uint64_t lane) {
  return (hash ^ round_of(0, lane)) * P1 + P4;
}

uint64_t edr_hash(const uint8_t *data, size_t size, uint64_t seed) {
  const uint8_t *at = data;
  size_t left = size;
  uint64_t hash;

  if (left >= 32) {
    uint64_t lanes[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
    for (; left >= 32; left -= 32, at += 32)
      for (size_t i = 0; i < 4; i++) lanes[i] = round_of(lanes[i], word(at + 8 * i));
    hash = rotated(lanes[0], 1) + rotated(lanes[1], 7) + rotated(lanes[2], 12) + rotated(lanes[3], 18);
    for (int i = 0; i < 4; i++) hash = merged(hash, lanes[i]);
  } else {
    hash = seed + P5;
  }
  hash += size;
  for (; left >= 8; left -= 8, at += 8) hash = rotated(hash ^ round_of(0, word(at)), 27) * P1 + P4;
  if (left >= 4) {
    hash = rotated(hash ^ half_word(at) * P1, 23) * P2 + P3;
    at += 4;
    left -= 4;
  }
  for (; left > 0; left--, at++) hash = rotated(hash ^ *at * P5, 11) * P1;
  hash = (hash ^ hash >> 33) * P2;
  hash = (hash ^ hash >> 29) * P3;
  return hash ^ hash >> 32;
}
