/* The scaling decision. Pure arithmetic: time comes in, nothing else is looked at. */
#include "scale.h"

#include <math.h>

enum { HELD_MAX = 1000000 }; /* far past any pool; keeps the arithmetic in range */

static double faded(const struct scale_rate *rate, uint32_t window_ms, int64_t now_ms)
{
    int64_t age_ms = now_ms > rate->at_ms ? now_ms - rate->at_ms : 0;
    return rate->weight * exp(-(double)age_ms / (double)window_ms);
}

void scale_rate_add(struct scale_rate *rate, uint32_t window_ms, int64_t now_ms)
{
    rate->weight = faded(rate, window_ms, now_ms) + 1;
    rate->at_ms = now_ms;
}

double scale_rate_per_s(const struct scale_rate *rate, uint32_t window_ms, int64_t now_ms)
{
    return faded(rate, window_ms, now_ms) * 1000 / (double)window_ms;
}

/* Leases expected to arrive while a pod that is created now becomes warm. Less than a tenth of one is nobody. */
static uint32_t expected(const struct scale_input *input)
{
    double leases = input->arrivals_per_s * input->warm_up_ms / 1000;
    if (leases < 0.1) {
        return 0;
    }
    return leases < HELD_MAX ? (uint32_t)ceil(leases) : HELD_MAX;
}

static void hold(const struct scale_rules *rules, uint32_t wanted, int64_t now_ms, struct scale_state *state)
{
    if (wanted >= state->held) {
        state->held = wanted;
        state->high_ms = now_ms;
        state->step_ms = now_ms;
        return;
    }
    if (now_ms - state->high_ms < rules->shrink_delay_ms || now_ms - state->step_ms < rules->shrink_step_ms) {
        return;
    }
    uint32_t step = state->held / 10 > 1 ? state->held / 10 : 1;
    state->held = state->held - wanted > step ? state->held - step : wanted;
    state->step_ms = now_ms;
}

struct scale_decision scale_decide(const struct scale_rules *rules, const struct scale_input *input, struct scale_state *state)
{
    uint32_t present = input->is_reused ? input->busy + input->waiting : 0;
    uint32_t coming = expected(input);
    hold(rules, present + (input->is_reused ? 0 : coming), input->now_ms, state);
    uint32_t again = state->held - present;
    struct scale_decision decision = {
        .floor = input->floor, .arrivals = input->is_reused && coming > again ? coming : again, .waiting = input->waiting};
    uint64_t sum = (uint64_t)decision.floor + decision.arrivals + decision.waiting;
    decision.target = sum < input->ceiling ? (uint32_t)sum : input->ceiling;
    return decision;
}
