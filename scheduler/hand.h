/* The hand: every task that this scheduler holds a delivery of, or an attempt, by its id. Pure: no I/O.
 *
 * A task is at most once in the hand, whatever the broker delivers: the same message again after a reconnection (then the hand
 * takes the new tag), or a second message of the same task. While the task waits that is a duplicate, settled at once, because the
 * claim comes later. While its attempt is under way it may say that the task was queued again just as the attempt ended: it is
 * kept unsettled until the attempt is over, and is then looked at as a new one. The waiting ones stand in queues by language and
 * priority, from which the policy picks. */
#ifndef SCHEDULER_HAND_H
#define SCHEDULER_HAND_H

#include <uthash.h>

#include <rw/uuid.h>

#include "policy.h"

struct delivery_ref { /* what the broker wants back */
    bool is_valid;    /* false: the connection it came by is gone, there is nothing to settle */
    size_t subscription;
    uint64_t generation;
    uint64_t tag;
};

struct attempt;

struct hand_task {
    struct rw_uuid id; /* the key */
    size_t language;
    enum rw_priority priority;
    struct delivery_ref delivery;
    struct delivery_ref later; /* a second one, that came while the attempt was under way */
    bool is_started;
    struct attempt *attempt; /* NULL while it waits */
    bool has_pod;
    struct hand_task *prev; /* of the waiting ones */
    struct hand_task *next;
    UT_hash_handle hh;
};

struct hand {
    struct policy policy;
    struct hand_task *tasks;                                       /* uthash */
    struct hand_task *waiting[RW_LANGUAGES_MAX][_RW_PRIORITY_MAX]; /* utlist */
    size_t n_waiting;
};

enum hand_answer {
    HAND_KEPT,      /* new, and waits now */
    HAND_RENEWED,   /* known, its earlier delivery was void: this one is settled in its place */
    HAND_LATER,     /* its attempt is under way: kept until that is over */
    HAND_DUPLICATE, /* known, with a delivery that counts: settle this one now */
};

struct hand *hand_new(size_t n_languages, uint32_t running_max, uint32_t leasing_max);
void hand_free(struct hand *hand); /* attempts are not the hand's to free */

enum hand_answer hand_offer(struct hand *hand, const struct rw_uuid *id, size_t language, enum rw_priority priority,
                            const struct delivery_ref *delivery);
/* The task to start now: its place is taken. NULL when nothing may start. The caller sets its attempt. */
struct hand_task *hand_next(struct hand *hand);
struct hand_task *hand_find(const struct hand *hand, const struct rw_uuid *id); /* NULL: not in the hand */
void hand_set_pod(struct hand *hand, struct hand_task *task, bool has_pod);
/* The attempt of a task that hand_next gave is over. Frees the task; HAND_KEPT when it waits again by its later delivery, else
 * HAND_DUPLICATE. */
enum hand_answer hand_remove(struct hand *hand, struct hand_task *task);
/* The broker's connection is gone: the waiting tasks are forgotten, it delivers them again; the others' deliveries are void. */
void hand_disconnected(struct hand *hand);
/* Forget the waiting tasks alone (draining). */
void hand_drop_waiting(struct hand *hand);

#endif
