/* Inflates gzip and zlib streams, fed in pieces of any size, into room of the caller's, within a bound; and packs bytes
 * into a zlib stream. Knows neither files nor what the bytes mean. Sources: RFC 1950 to 1952. */
#ifndef EDR_GZIP_H
#define EDR_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "status.h"

typedef enum edr_gzip_format {
  EDR_GZIP, /* members one after another; zero bytes may follow the last */
  EDR_ZLIB  /* one stream, and nothing behind it */
} edr_gzip_format;

typedef struct edr_gzip {
  void *stream; /* a z_stream */
  edr_gzip_format format;
  uint64_t max_output, used, made; /* bytes */
  bool inside;                     /* of a member */
  bool ended;                      /* after the last: nothing but zero bytes may come */
  const char *problem;             /* static words, or NULL */
} edr_gzip;

/* EDR_ENOMEM where zlib gets no memory: the handle may then be freed, and nothing else. */
edr_status edr_gzip_init(edr_gzip *gzip, edr_gzip_format format, uint64_t max_output);
void edr_gzip_deinit(edr_gzip *gzip);

/* Whether these bytes begin as gzip does. Two are needed. */
bool edr_gzip_begins(const uint8_t *data, size_t size);

/* Inflates from `data` into `room` until one of both is used up, and says how much of each. EDR_EPROTOCOL for what is
 * no such stream, EDR_ELIMIT where it would be more than `max_output` bytes, EDR_ENOMEM; `problem` says why. A stream
 * that failed stays so. */
edr_status edr_gzip_inflate(edr_gzip *gzip, const uint8_t *data, size_t size, size_t *out_used, uint8_t *room,
                            size_t room_size, size_t *out_made);

/* Whether what was fed so far is a whole stream, or whole members. */
bool edr_gzip_is_whole(const edr_gzip *gzip);

/* Appends all that `data` inflates to. EDR_EPROTOCOL also where it is cut short. `out_problem` gets static words. On
 * failure, `out` is as it was. */
edr_status edr_gzip_expand(edr_gzip_format format, const uint8_t *data, size_t size, uint64_t max_output, edr_buf *out,
                           const char **out_problem);

/* Appends what a compressed external term is: version byte, and the term that was behind tag 80. `data` begins at the
 * version byte. EDR_EBADARG where it is not compressed, which costs nothing to ask. */
edr_status edr_gzip_expand_term(const uint8_t *data, size_t size, uint64_t max_output, edr_buf *out,
                                const char **out_problem);

/* Appends `data` as a zlib stream, packed as quickly as can be. EDR_ENOMEM; then `out` is as it was. */
edr_status edr_gzip_pack(const uint8_t *data, size_t size, edr_buf *out);

#endif
