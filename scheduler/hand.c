/* The hand: see hand.h. */
#include "hand.h"

#include <utlist.h>

#include <rw/auto.h>

struct hand *hand_new(size_t n_languages, uint32_t running_max, uint32_t leasing_max)
{
    struct hand *hand = rw_xcalloc(1, sizeof(*hand));
    policy_init(&hand->policy, n_languages, running_max, leasing_max);
    return hand;
}

void hand_free(struct hand *hand)
{
    if (!hand) {
        return;
    }
    struct hand_task *task;
    struct hand_task *next;
    HASH_ITER(hh, hand->tasks, task, next)
    {
        HASH_DELETE(hh, hand->tasks, task);
        free(task);
    }
    free(hand);
}

struct hand_task *hand_find(const struct hand *hand, const struct rw_uuid *id)
{
    struct hand_task *task = NULL;
    HASH_FIND(hh, hand->tasks, id, sizeof(*id), task);
    return task;
}

/* Void, or of an earlier connection. */
static bool is_older(const struct delivery_ref *known, const struct delivery_ref *delivery)
{
    return !known->is_valid || known->generation < delivery->generation;
}

enum hand_answer hand_offer(struct hand *hand, const struct rw_uuid *id, size_t language, enum rw_priority priority,
                            const struct delivery_ref *delivery)
{
    struct hand_task *task = hand_find(hand, id);
    if (task) {
        if (!is_older(&task->delivery, delivery)) {
            bool is_kept = task->is_started && is_older(&task->later, delivery);
            task->later = is_kept ? *delivery : task->later;
            return is_kept ? HAND_LATER : HAND_DUPLICATE;
        }
        task->delivery = *delivery;
        return HAND_RENEWED;
    }
    task = rw_xcalloc(1, sizeof(*task));
    task->id = *id;
    task->language = language;
    task->priority = priority;
    task->delivery = *delivery;
    HASH_ADD(hh, hand->tasks, id, sizeof(task->id), task);
    DL_APPEND(hand->waiting[language][priority], task);
    hand->n_waiting++;
    policy_arrived(&hand->policy, language, priority);
    return HAND_KEPT;
}

struct hand_task *hand_next(struct hand *hand)
{
    size_t language;
    enum rw_priority priority;
    if (!policy_next(&hand->policy, &language, &priority)) {
        return NULL;
    }
    struct hand_task *task = hand->waiting[language][priority];
    DL_DELETE(hand->waiting[language][priority], task);
    hand->n_waiting--;
    task->is_started = true;
    return task;
}

void hand_set_pod(struct hand *hand, struct hand_task *task, bool has_pod)
{
    if (task->has_pod != has_pod) {
        task->has_pod = has_pod;
        policy_pod(&hand->policy, task->language, has_pod);
    }
}

enum hand_answer hand_remove(struct hand *hand, struct hand_task *task)
{
    const struct hand_task gone = *task;
    policy_ended(&hand->policy, task->language, task->has_pod);
    HASH_DELETE(hh, hand->tasks, task);
    free(task);
    return gone.later.is_valid ? hand_offer(hand, &gone.id, gone.language, gone.priority, &gone.later) : HAND_DUPLICATE;
}

static void drop_queue(struct hand *hand, size_t language, enum rw_priority priority)
{
    struct hand_task *task;
    struct hand_task *next;
    DL_FOREACH_SAFE(hand->waiting[language][priority], task, next)
    {
        policy_withdrawn(&hand->policy, language, priority);
        DL_DELETE(hand->waiting[language][priority], task);
        HASH_DELETE(hh, hand->tasks, task);
        free(task);
    }
}

void hand_drop_waiting(struct hand *hand)
{
    for (size_t language = 0; language < hand->policy.n_languages; language++) {
        for (enum rw_priority priority = RW_PRIORITY_HIGH; priority < _RW_PRIORITY_MAX; priority++) {
            drop_queue(hand, language, priority);
        }
    }
    hand->n_waiting = 0;
}

void hand_disconnected(struct hand *hand)
{
    hand_drop_waiting(hand);
    for (struct hand_task *task = hand->tasks; task; task = task->hh.next) {
        task->delivery.is_valid = false;
        task->later.is_valid = false;
    }
}
