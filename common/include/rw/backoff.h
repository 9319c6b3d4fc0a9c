/* Exponential back-off with full jitter (the delay is uniform in [base, ceiling], the ceiling doubling up to max). */
#ifndef RW_BACKOFF_H
#define RW_BACKOFF_H

#include <stdint.h>

struct rw_backoff {
    uint32_t base_ms;
    uint32_t max_ms;
    uint32_t failures;
};

void rw_backoff_init(struct rw_backoff *backoff, uint32_t base_ms, uint32_t max_ms);
uint32_t rw_backoff_next_ms(struct rw_backoff *backoff); /* counts one failure and says how long to wait */
void rw_backoff_reset(struct rw_backoff *backoff);       /* after a success */

#endif
