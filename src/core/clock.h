/* Monotonic time and deadlines. A timeout becomes a deadline once, at the door; everything inside takes deadlines. */
#ifndef EDR_CLOCK_H
#define EDR_CLOCK_H

#include <stdint.h>

#define EDR_NEVER INT64_MAX /* the deadline that does not come */

/* Milliseconds of the monotonic clock. */
int64_t edr_clock_now_ms(void);

/* Microseconds of the monotonic clock, for measuring. */
int64_t edr_clock_now_us(void);

/* The deadline `timeout_ms` from now; EDR_NEVER for a negative timeout or one too large to add. */
int64_t edr_deadline_after(int64_t timeout_ms);

/* Milliseconds until `deadline_ms`, 0 where it has passed, as poll(2) takes them: -1 for EDR_NEVER. */
int edr_deadline_poll_ms(int64_t deadline_ms);

#endif
