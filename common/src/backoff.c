/* Exponential back-off with jitter, so that many who lost the same server do not come back in step. */
#include <rw/backoff.h>

#include <rw/random.h>

void rw_backoff_init(struct rw_backoff *backoff, uint32_t base_ms, uint32_t max_ms)
{
    *backoff = (struct rw_backoff){.base_ms = base_ms, .max_ms = max_ms < base_ms ? base_ms : max_ms};
}

uint32_t rw_backoff_next_ms(struct rw_backoff *backoff)
{
    if (backoff->failures < UINT32_MAX) {
        backoff->failures++;
    }
    uint32_t doublings = backoff->failures < 31 ? backoff->failures : 31;
    uint64_t ceiling = (uint64_t)backoff->base_ms << doublings;
    if (ceiling > backoff->max_ms) {
        ceiling = backoff->max_ms;
    }
    uint64_t span = ceiling - backoff->base_ms + 1;
    return backoff->base_ms + (span > UINT32_MAX ? rw_random_below(UINT32_MAX) : rw_random_below((uint32_t)span));
}

void rw_backoff_reset(struct rw_backoff *backoff)
{
    backoff->failures = 0;
}
