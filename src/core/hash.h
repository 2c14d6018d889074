/* A quick 64-bit hash of bytes, to tell files apart: XXH64. Against accidents alone: who wants to can make bytes
 * collide. Source: the xxHash specification, "XXH64 algorithm description". */
#ifndef EDR_HASH_H
#define EDR_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t edr_hash(const uint8_t *data, size_t size, uint64_t seed);

#endif
