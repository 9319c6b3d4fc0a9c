/* Renewals: see renewals.h. One statement at a time; what it renews is remembered, so that only an attempt that was asked for
 * and not granted counts as fenced, and not one that began meanwhile. An answer that does not come changes nothing: the next
 * renewal tells. */
#include "renewals.h"

#include <string.h>

struct asked {
    struct store_holding holding;
    bool is_held;
};

struct renewals {
    uv_timer_t timer;
    struct hand *hand;
    struct store *store;
    struct asked *asked; /* sorted by fence; NULL: no statement is under way */
    size_t n_asked;
};

static int by_fence(const void *a, const void *b)
{
    int64_t fa = ((const struct asked *)a)->holding.fence;
    int64_t fb = ((const struct asked *)b)->holding.fence;
    return (fa > fb) - (fa < fb);
}

static void tick_off(struct renewals *renewals, const struct store_holding *held)
{
    const struct asked key = {.holding = *held};
    struct asked *found = bsearch(&key, renewals->asked, renewals->n_asked, sizeof(key), by_fence);
    if (found) {
        found->is_held = true;
    }
}

static void renewed(void *arg, const struct store_holding *held, size_t n, const struct rw_error *err)
{
    struct renewals *renewals = arg;
    for (size_t i = 0; i < n; i++) {
        tick_off(renewals, &held[i]);
    }
    RW_AUTO_FREE struct asked *asked = rw_take(renewals->asked);
    for (size_t i = 0; !err && i < renewals->n_asked; i++) {
        struct hand_task *task = asked[i].is_held ? NULL : hand_find(renewals->hand, &asked[i].holding.id);
        if (task && task->attempt) {
            attempt_fenced(task->attempt, asked[i].holding.fence);
        }
    }
}

static void renew(struct renewals *renewals)
{
    if (renewals->asked) {
        return;
    }
    size_t n_max = HASH_CNT(hh, renewals->hand->tasks);
    RW_AUTO_FREE struct asked *asked = rw_xcalloc(n_max + 1, sizeof(*asked));
    RW_AUTO_FREE struct store_holding *holdings = rw_xcalloc(n_max + 1, sizeof(*holdings));
    size_t n = 0;
    for (const struct hand_task *task = renewals->hand->tasks; task; task = task->hh.next) {
        if (task->attempt && attempt_holding(task->attempt, &holdings[n])) {
            asked[n].holding = holdings[n];
            n++;
        }
    }
    if (n == 0) {
        return;
    }
    qsort(asked, n, sizeof(*asked), by_fence);
    renewals->asked = rw_take(asked);
    renewals->n_asked = n;
    store_renew(renewals->store, holdings, n, renewed, renewals);
}

static void on_timer(uv_timer_t *timer)
{
    renew(timer->data);
}

void renewals_now(struct renewals *renewals)
{
    renew(renewals);
}

struct renewals *renewals_start(uv_loop_t *loop, const struct scheduler_config *config, struct hand *hand, struct store *store)
{
    struct renewals *renewals = rw_xcalloc(1, sizeof(*renewals));
    renewals->hand = hand;
    renewals->store = store;
    (void)uv_timer_init(loop, &renewals->timer);
    renewals->timer.data = renewals;
    (void)uv_timer_start(&renewals->timer, on_timer, config->renew_ms, config->renew_ms);
    return renewals;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void renewals_close(struct renewals *renewals)
{
    if (renewals) {
        uv_close((uv_handle_t *)&renewals->timer, on_closed);
    }
}
