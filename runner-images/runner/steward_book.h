/* What a steward counts, and what follows from it. Pure.
 *
 * A place is what a worker needs for itself: a pair of uids and a cgroup. There are twice as many as slots, so that with all slots
 * busy as many sandboxes are prepared for the jobs that come next. */
#ifndef RUNNER_STEWARD_BOOK_H
#define RUNNER_STEWARD_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <rw/uuid.h>

#include "options.h"

enum { STEWARD_PLACES_MAX = 2 * OPTIONS_SLOTS_MAX, STEWARD_LEASES_MAX = 1024 };

enum steward_state {
    STEWARD_PLACE_FREE,
    STEWARD_PLACE_PREPARING,
    STEWARD_PLACE_IDLE,     /* has a sandbox, waits for a job */
    STEWARD_PLACE_BUSY,     /* has a job */
    STEWARD_PLACE_ENDING,   /* its code is dead; it answers, cleans up and exits */
    STEWARD_PLACE_SWEEPING, /* the worker was killed; what it left is being removed */
    _STEWARD_STATE_MAX
};

struct steward_book {
    uint32_t slots;
    uint32_t uses; /* 0: no end */
    uint32_t taken;
    bool is_draining; /* no more jobs */
    uint32_t counts[_STEWARD_STATE_MAX];
    enum steward_state places[STEWARD_PLACES_MAX];
    struct rw_uuid leases[STEWARD_LEASES_MAX]; /* the last ones whose job was taken, as a ring */
    uint32_t n_leases;
};

void steward_book_init(struct steward_book *book, uint32_t slots, uint32_t uses);
void steward_book_set(struct steward_book *book, uint32_t place, enum steward_state state);
/* How many workers are to be prepared now. */
uint32_t steward_book_missing(const struct steward_book *book);
uint32_t steward_book_free_place(const struct steward_book *book); /* one must be missing */
/* An idle worker has a job for this lease: whether it may take it. Counts it when it may. */
bool steward_book_take(struct steward_book *book, uint32_t place, const struct rw_uuid *lease_id);
/* Nothing is left to be done, now or later. */
bool steward_book_is_over(const struct steward_book *book);

#endif
