/* The cookie that we show to a node: the one that was given, or the user's own file, where Erlang keeps it and as
 * private as Erlang wants it. Knows no connection. Cookies are in no text. */
#ifndef EDR_COOKIE_H
#define EDR_COOKIE_H

#include "status.h"

#define EDR_COOKIE_MAX 512 /* as many bytes as erl_interface has room for */

/* `given` may be NULL: then ~/.erlang.cookie is read or, where that is not there, erlang/.erlang.cookie in
 * XDG_CONFIG_HOME (~/.config). The caller wipes `cookie`. EDR_EBADARG (a given one of no or too many bytes), EDR_EAUTH
 * (no file, one that others can use, that is neither ours nor root's, or one without a cookie). */
edr_status edr_cookie_find(const char *given, char cookie[EDR_COOKIE_MAX + 1], edr_error *error);

#endif
