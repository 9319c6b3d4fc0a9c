/* The two clocks, and the one way of writing a time down. */
#include <rw/clock.h>

#include <stdio.h>
#include <time.h>

static int64_t now_us(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t rw_monotonic_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

int64_t rw_monotonic_ms(void)
{
    return rw_monotonic_us() / 1000;
}

int64_t rw_realtime_us(void)
{
    return now_us(CLOCK_REALTIME);
}

char *rw_format_rfc3339(int64_t realtime_us, char *out)
{
    int64_t micros = realtime_us % 1000000;
    time_t seconds = (time_t)(realtime_us / 1000000);
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    struct tm date = {0};
    (void)gmtime_r(&seconds, &date);
    char day[sizeof("2026-01-31T12:00:00") + 1];
    if (!strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &date)) {
        day[0] = '\0'; /* a year of more than four digits: RFC 3339 cannot say it */
    }
    (void)snprintf(out, RW_RFC3339_BYTES, "%s.%06dZ", day, (int)micros);
    return out;
}
