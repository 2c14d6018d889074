/* A line on a terminal that moves while this program waits: a mark that turns, a text, and the seconds since it was
 * first shown. A thread of its own writes it, so whatever else blocks, it moves. One a program. */
#ifndef EDR_SPINNER_H
#define EDR_SPINNER_H

#include "status.h"

enum { EDR_SPINNER_TEXT_MAX = 500 };

/* Shows the line on `fd`, a terminal, from a moment on: a wait that is over sooner shows nothing. In the place of the
 * one that is shown, if there is one. A longer text is cut off. What the caller has buffered for `fd` must be flushed.
 * EDR_ESYSTEM: no thread could be started, and nothing is shown. */
edr_status edr_spinner_show(int fd, const char *text);

/* Takes the line away; when this returns, nothing more is written. Fine where there is none. */
void edr_spinner_hide(void);

/* How many columns the terminal `fd` has; 0 where it is none, or does not say. */
int edr_spinner_columns(int fd);

#endif
