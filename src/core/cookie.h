/* The cookie that we show to a node: the one that was given, or the user's own file, where Erlang keeps it and as
 * private as Erlang wants it. Knows no connection. Cookies are in no text. */
#ifndef EDR_COOKIE_H
#define EDR_COOKIE_H

#include <stdint.h>

#include "md5.h"
#include "status.h"

#define EDR_COOKIE_MAX 512 /* as many bytes as erl_interface has room for */

/* `given` is text: its characters become Latin-1, as those of an atom do in Erlang's digest (bytes that are no UTF-8
 * stay as they are); a file's bytes are taken as they are, as Erlang takes them. `given` may be NULL: then
 * ~/.erlang.cookie is read or, where that is not there, erlang/.erlang.cookie in XDG_CONFIG_HOME (~/.config). The
 * caller wipes `cookie`. EDR_EBADARG (a given one of no or too many bytes, or of other characters), EDR_EAUTH (no file,
 * one that others can use, that is neither ours nor root's, or one without a cookie). */
edr_status edr_cookie_find(const char *given, char cookie[EDR_COOKIE_MAX + 1], edr_error *error);

/* What proves that we know the cookie: the digest of it and of the challenge. Source: erts "Distribution Protocol". */
void edr_cookie_digest(const char *cookie, uint32_t challenge, uint8_t out_digest[EDR_MD5_SIZE]);

#endif
