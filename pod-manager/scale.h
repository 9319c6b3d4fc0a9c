/* How many leases a pool should be able to grant at once: a pure decision, so that it can be tested as a table and shown as
 * metrics.
 *
 *   target = clamp(warm floor + arrival rate x time to warm a pod + waiting leases)
 *
 * Where a pod serves many leases, those that are in use and those that wait are demand that comes again: the middle part is what was in use
 * or waiting at the same time beyond what is now, where that is more.
 *
 * The middle part is held for shrink_delay_ms after it was last that high and then goes down by a tenth (at least by one) every
 * shrink_step_ms, so that a pool does not breathe with every lull. Waiting leases are not held: each is served once. */
#ifndef SCALE_H
#define SCALE_H

#include <stdbool.h>
#include <stdint.h>

struct scale_rules {
    uint32_t rate_window_ms; /* time constant of the arrival rate */
    uint32_t shrink_delay_ms;
    uint32_t shrink_step_ms;
};

/* Arrivals per second, as an exponentially weighted mean over about rate_window_ms. Zeroed memory is a rate of nothing. */
struct scale_rate {
    double weight; /* arrivals, each faded by its age */
    int64_t at_ms; /* when weight was right */
};

void scale_rate_add(struct scale_rate *rate, uint32_t window_ms, int64_t now_ms); /* one arrival */
double scale_rate_per_s(const struct scale_rate *rate, uint32_t window_ms, int64_t now_ms);

struct scale_input {
    uint32_t floor;   /* leases to be granted at once, always */
    uint32_t ceiling; /* no more than that, whatever the demand */
    uint32_t waiting; /* leases waiting now */
    uint32_t busy;    /* leases in use, where their slots will serve others; else 0 */
    bool is_reused;   /* a slot serves one lease after the other */
    double arrivals_per_s;
    double warm_up_ms; /* how long a pod takes from its creation to its first lease; 0 while nobody knows */
    int64_t now_ms;
};

struct scale_state { /* zeroed memory is a fresh state */
    uint32_t held;   /* the part for arrivals as it is held, with what is busy or waits where slots are reused */
    int64_t high_ms; /* when that many were last asked for */
    int64_t step_ms; /* when it was last made smaller */
};

struct scale_decision { /* the parts add up to more than the target where the ceiling cuts */
    uint32_t floor;
    uint32_t arrivals;
    uint32_t waiting;
    uint32_t target;
};

struct scale_decision scale_decide(const struct scale_rules *rules, const struct scale_input *input, struct scale_state *state);

#endif
