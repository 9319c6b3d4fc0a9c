/* Time: monotonic for waits and durations, real time for what people read. */
#ifndef RW_CLOCK_H
#define RW_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t rw_monotonic_us(void);
int64_t rw_monotonic_ms(void);
int64_t rw_realtime_us(void); /* since the Unix epoch */
enum { RW_RFC3339_BYTES = 32 };
/* "2026-01-31T12:00:00.123456Z" (RFC 3339, UTC, microseconds) into out of RW_RFC3339_BYTES; returns out. */
char *rw_format_rfc3339(int64_t realtime_us, char *out);

#endif
