/* Policy: which waiting delivery starts next. Pure: counters in, a choice out; no clock, no I/O.
 *
 * A place is free while fewer than running_max attempts are in flight. It goes
 *  - to a priority by smooth weighted round robin (16 : 4 : 1), so that high goes before normal before low and yet low never
 *    starves;
 *  - then to the language with the fewest attempts in flight, and among equals to the one served longest ago;
 *  - but never to a language of which leasing_max attempts already wait for a pod: an empty pool must not take every place. */
#ifndef SCHEDULER_POLICY_H
#define SCHEDULER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rw/amqp.h>
#include <rw/language.h>

struct policy_language {
    uint32_t waiting[_RW_PRIORITY_MAX]; /* deliveries at hand, not started */
    uint32_t in_flight;                 /* attempts begun and not ended */
    uint32_t leasing;                   /* of these, attempts without a pod */
    uint64_t served_at;                 /* turn of the latest start */
};

struct policy {
    size_t n_languages;
    uint32_t running_max;
    uint32_t leasing_max;
    uint32_t in_flight;
    uint64_t turn;
    int32_t credit[_RW_PRIORITY_MAX];
    struct policy_language languages[RW_LANGUAGES_MAX];
};

void policy_init(struct policy *policy, size_t n_languages, uint32_t running_max, uint32_t leasing_max);
void policy_arrived(struct policy *policy, size_t language, enum rw_priority priority);
void policy_withdrawn(struct policy *policy, size_t language, enum rw_priority priority); /* a waiting delivery is gone */
/* Take the next place: counts the start. False when nothing may start. */
bool policy_next(struct policy *policy, size_t *ret_language, enum rw_priority *ret_priority);
void policy_pod(struct policy *policy, size_t language, bool has_pod); /* an attempt in flight got a pod, or lost it */
void policy_ended(struct policy *policy, size_t language, bool had_pod);

#endif
