/* Dead letters: see dead_letters.h. While the database is away letters wait on a list (the prefetch bounds it) and are tried
 * again together. */
#include "dead_letters.h"

#include <utlist.h>

#include <rw/log.h>

enum { RETRY_MS = 1000 };

struct letter {
    struct dead_letters *letters;
    struct deliveries *deliveries;
    struct rw_uuid id;
    struct delivery_ref ref;
    struct letter *prev;
    struct letter *next;
};

struct dead_letters {
    uv_timer_t timer;
    struct store *store;
    struct events *events;
    struct scheduler_metrics *metrics;
    struct letter *waiting;
};

static void buried(void *arg, enum store_outcome outcome, const struct rw_error *err)
{
    struct letter *letter = arg;
    struct dead_letters *letters = letter->letters;
    char id[RW_UUID_TEXT_BYTES];
    (void)rw_uuid_format(&letter->id, id);
    if (outcome == STORE_UNSURE || outcome == STORE_REFUSED) {
        rw_log_error(RW_LOG_WARNING, "dead letter not settled, trying again", err, RW_LOG_STR("task_id", id));
        DL_APPEND(letters->waiting, letter);
        return;
    }
    if (outcome == STORE_DONE) {
        rw_counter_add(letters->metrics->dead_letters, 1);
        rw_log(RW_LOG_ERROR, "the broker gave the task's message up, task dead", RW_LOG_STR("task_id", id));
        events_final(letters->events, RW_TASK_DEAD, &letter->id);
    }
    if (outcome != STORE_CLOSING) {
        deliveries_ack(letter->deliveries, &letter->ref);
    }
    free(letter);
}

static void bury_waiting(uv_timer_t *timer)
{
    struct dead_letters *letters = timer->data;
    struct letter *waiting = rw_take(letters->waiting);
    struct letter *letter;
    struct letter *next;
    DL_FOREACH_SAFE(waiting, letter, next)
    {
        DL_DELETE(waiting, letter);
        store_bury(letters->store, &letter->id, buried, letter);
    }
}

void dead_letters_take(struct dead_letters *letters, struct deliveries *deliveries, const struct rw_uuid *id,
                       const struct delivery_ref *ref)
{
    struct letter *letter = rw_xcalloc(1, sizeof(*letter));
    letter->letters = letters;
    letter->deliveries = deliveries;
    letter->id = *id;
    letter->ref = *ref;
    store_bury(letters->store, id, buried, letter);
}

struct dead_letters *dead_letters_new(uv_loop_t *loop, struct store *store, struct events *events,
                                      struct scheduler_metrics *metrics)
{
    struct dead_letters *letters = rw_xcalloc(1, sizeof(*letters));
    letters->store = store;
    letters->events = events;
    letters->metrics = metrics;
    (void)uv_timer_init(loop, &letters->timer);
    letters->timer.data = letters;
    (void)uv_timer_start(&letters->timer, bury_waiting, RETRY_MS, RETRY_MS);
    return letters;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void dead_letters_close(struct dead_letters *letters)
{
    if (!letters) {
        return;
    }
    struct letter *letter;
    struct letter *next;
    DL_FOREACH_SAFE(letters->waiting, letter, next)
    {
        DL_DELETE(letters->waiting, letter);
        free(letter);
    }
    uv_close((uv_handle_t *)&letters->timer, on_closed);
}
