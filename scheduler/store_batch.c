/* The store, as the periodic work uses it: renew, sweep, mark, reconcile. One statement serves many tasks. */
#include "store_internal.h"

struct batch {
    union {
        store_renewed renewed;
        store_swept swept;
        store_reconciled reconciled;
        void (*marked)(void *arg, const struct rw_error *err);
    } done;
    void *arg;
};

static struct batch *new_batch(void *arg)
{
    struct batch *batch = rw_xcalloc(1, sizeof(*batch));
    batch->arg = arg;
    return batch;
}

static size_t rows_of(const PGresult *result)
{
    return (size_t)rw_pg_rows(result);
}

/* ---- renew ---- */

static void renewed(void *arg, const PGresult *result, const struct rw_error *err)
{
    RW_AUTO_FREE struct batch *batch = arg;
    if (err) {
        batch->done.renewed(batch->arg, NULL, 0, err);
        return;
    }
    size_t n = rows_of(result);
    RW_AUTO_FREE struct store_holding *held = rw_xcalloc(n + 1, sizeof(*held));
    for (size_t i = 0; i < n; i++) {
        held[i].id = rw_pg_uuid(result, (int)i, 0);
        held[i].fence = rw_pg_int8(result, (int)i, 1);
    }
    batch->done.renewed(batch->arg, held, n, NULL);
}

void store_renew(struct store *store, const struct store_holding *holdings, size_t n, store_renewed done, void *arg)
{
    RW_AUTO_FREE struct rw_uuid *ids = rw_xcalloc(n + 1, sizeof(*ids));
    RW_AUTO_FREE int64_t *fences = rw_xcalloc(n + 1, sizeof(*fences));
    for (size_t i = 0; i < n; i++) {
        ids[i] = holdings[i].id;
        fences[i] = holdings[i].fence;
    }
    RW_AUTO_BUFFER struct rw_buffer id_array;
    RW_AUTO_BUFFER struct rw_buffer fence_array;
    rw_buffer_init(&id_array, SIZE_MAX);
    rw_buffer_init(&fence_array, SIZE_MAX);
    struct rw_pg_params params = {0};
    struct rw_error err;
    if (rw_pg_param_uuid_array(&params, ids, n, &id_array, &err) < 0 ||
        rw_pg_param_int8_array(&params, fences, n, &fence_array, &err) < 0) {
        done(arg, NULL, 0, &err);
        return;
    }
    rw_pg_param_int4(&params, (int32_t)store->lease_ms);
    struct batch *batch = new_batch(arg);
    batch->done.renewed = done;
    rw_pg_exec(store->pg, STORE_SQL_RENEW, &params, STORE_TIMEOUT_MS, renewed, batch);
}

/* ---- sweep ---- */

static void swept(void *arg, const PGresult *result, const struct rw_error *err)
{
    RW_AUTO_FREE struct batch *batch = arg;
    if (err) {
        batch->done.swept(batch->arg, NULL, 0, err);
        return;
    }
    size_t n = rows_of(result);
    RW_AUTO_FREE struct store_due *due = rw_xcalloc(n + 1, sizeof(*due));
    for (size_t i = 0; i < n; i++) {
        int32_t priority = rw_pg_int4(result, (int)i, 2);
        due[i].id = rw_pg_uuid(result, (int)i, 0);
        due[i].language = rw_pg_text(result, (int)i, 1);
        due[i].priority = priority >= 0 && priority < _RW_PRIORITY_MAX ? (enum rw_priority)priority : RW_PRIORITY_NORMAL;
        due[i].traceparent = rw_pg_text(result, (int)i, 3);
    }
    batch->done.swept(batch->arg, due, n, NULL);
}

void store_sweep(struct store *store, store_swept done, void *arg)
{
    struct batch *batch = new_batch(arg);
    batch->done.swept = done;
    struct rw_pg_params params = {0};
    rw_pg_param_int4(&params, STORE_SWEEP_MAX);
    rw_pg_exec(store->pg, STORE_SQL_SWEEP, &params, STORE_TIMEOUT_MS, swept, batch);
}

static void marked(void *arg, const PGresult *result, const struct rw_error *err)
{
    (void)result;
    RW_AUTO_FREE struct batch *batch = arg;
    batch->done.marked(batch->arg, err);
}

void store_mark_published(struct store *store, const struct rw_uuid *ids, size_t n,
                          void (*done)(void *arg, const struct rw_error *err), void *arg)
{
    RW_AUTO_BUFFER struct rw_buffer id_array;
    rw_buffer_init(&id_array, SIZE_MAX);
    struct rw_pg_params params = {0};
    struct rw_error err;
    if (rw_pg_param_uuid_array(&params, ids, n, &id_array, &err) < 0) {
        done(arg, &err);
        return;
    }
    rw_pg_param_int8(&params, store->lost_after_ms);
    struct batch *batch = new_batch(arg);
    batch->done.marked = done;
    rw_pg_exec(store->pg, STORE_SQL_MARK, &params, STORE_TIMEOUT_MS, marked, batch);
}

/* ---- reconcile ---- */

static void reconciled(void *arg, const PGresult *result, const struct rw_error *err)
{
    RW_AUTO_FREE struct batch *batch = arg;
    if (err) {
        batch->done.reconciled(batch->arg, NULL, 0, err);
        return;
    }
    size_t n = rows_of(result);
    RW_AUTO_FREE struct store_expired *expired = rw_xcalloc(n + 1, sizeof(*expired));
    for (size_t i = 0; i < n; i++) {
        expired[i].id = rw_pg_uuid(result, (int)i, 0);
        expired[i].attempt = rw_pg_int4(result, (int)i, 1);
        expired[i].is_dead = rw_pg_bool(result, (int)i, 2);
        expired[i].language = rw_pg_text(result, (int)i, 3);
        expired[i].traceparent = rw_pg_text(result, (int)i, 4);
    }
    batch->done.reconciled(batch->arg, expired, n, NULL);
}

void store_reconcile(struct store *store, store_reconciled done, void *arg)
{
    struct batch *batch = new_batch(arg);
    batch->done.reconciled = done;
    struct rw_pg_params params = {0};
    rw_pg_param_int4(&params, STORE_RECONCILE_MAX);
    rw_pg_param_text(&params, "its scheduler was lost on the last of its attempts");
    rw_pg_exec(store->pg, STORE_SQL_RECONCILE, &params, STORE_TIMEOUT_MS, reconciled, batch);
}
