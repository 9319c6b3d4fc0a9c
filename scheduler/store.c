/* The store, as one attempt uses it: claim, record, lose, return, bury. Each statement carries a small context of its own, so
 * that any number may be under way. A change that touched no row is not yet a lost fence: an earlier try whose answer was lost
 * may have made it, and the row says so (read). */
#include "store_internal.h"

#include <string.h>

struct change {
    struct store *store;
    store_changed done;
    store_recorded recorded; /* instead of done */
    int64_t ended_us;        /* for recorded */
    void *arg;
    struct rw_uuid id;
    int64_t fence;
    enum rw_task_state state_wanted; /* besides dead: what the row holds when an earlier try did it */
};

struct claim {
    store_claimed done;
    void *arg;
};

int store_open(uv_loop_t *loop, const struct scheduler_config *config, const char *password, const char *owner,
               struct rw_metrics *metrics, void (*on_state)(void *arg, bool is_connected), void *arg, struct store **ret_store,
               struct rw_error *err)
{
    struct store *store = rw_xcalloc(1, sizeof(*store));
    store->owner = rw_xstrdup(owner);
    store->lease_ms = config->lease_ms;
    store->lost_after_ms = config->lost_after_ms;
    const struct rw_pg_options options = {
        .config = &config->database,
        .password = password,
        .application_name = "runwave-scheduler",
        .statements = store_sql,
        .n_statements = _STORE_SQL_MAX,
        .queue_max = (size_t)config->running_max * 2 + 64, /* an attempt waits for one statement; the sweeps have a few */
        .metrics = metrics,
        .on_state = on_state,
        .arg = arg,
    };
    if (rw_pg_open(loop, &options, &store->pg, err) < 0) {
        free(store->owner);
        free(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

bool store_is_connected(const struct store *store)
{
    return store && rw_pg_is_connected(store->pg);
}

const char *store_last_error(const struct store *store)
{
    return rw_pg_last_error(store->pg);
}

void store_close(struct store *store)
{
    if (store) {
        rw_pg_close(store->pg);
        free(store->owner);
        free(store);
    }
}

enum store_outcome store_outcome_of(const struct rw_error *err)
{
    if (err->code == RW_ERR_CANCELLED) {
        return STORE_CLOSING;
    }
    return rw_err_is_retryable(err->code) ? STORE_UNSURE : STORE_REFUSED;
}

/* ---- claim ---- */

static void claimed(void *arg, const PGresult *result, const struct rw_error *err)
{
    RW_AUTO_FREE struct claim *claim = arg;
    if (err || rw_pg_rows(result) == 0) {
        claim->done(claim->arg, NULL, err);
        return;
    }
    const struct store_claim row = {
        .attempt = rw_pg_int4(result, 0, 0),
        .fence = rw_pg_int8(result, 0, 1),
        .language = rw_pg_text(result, 0, 2),
        .version = rw_pg_text(result, 0, 3),
        .traceparent = rw_pg_text(result, 0, 4),
        .job = rw_pg_bytes(result, 0, 5),
        .submitted_us = rw_pg_timestamp_us(result, 0, 6),
        .claimed_us = rw_pg_timestamp_us(result, 0, 7),
        .isolation = rw_pg_text(result, 0, 8),
    };
    claim->done(claim->arg, &row, NULL);
}

void store_claim(struct store *store, const struct rw_uuid *id, store_claimed done, void *arg)
{
    struct claim *claim = rw_xcalloc(1, sizeof(*claim));
    claim->done = done;
    claim->arg = arg;
    struct rw_pg_params params = {0};
    rw_pg_param_uuid(&params, id);
    rw_pg_param_text(&params, store->owner);
    rw_pg_param_int4(&params, (int32_t)store->lease_ms);
    rw_pg_exec(store->pg, STORE_SQL_CLAIM, &params, STORE_TIMEOUT_MS, claimed, claim);
}

/* ---- changes of a claimed task ---- */

static struct change *new_change(struct store *store, const struct rw_uuid *id, int64_t fence, enum rw_task_state state_wanted,
                                 store_changed done, void *arg)
{
    struct change *change = rw_xcalloc(1, sizeof(*change));
    *change = (struct change){.store = store, .done = done, .arg = arg, .id = *id, .fence = fence, .state_wanted = state_wanted};
    return change;
}

static void finish(struct change *change, enum store_outcome outcome, const struct rw_error *err)
{
    if (change->recorded) {
        change->recorded(change->arg, outcome, change->ended_us, err);
    } else {
        change->done(change->arg, outcome, err);
    }
    free(change);
}

/* Of a state read back from the row: what it tells about the change. */
static enum store_outcome outcome_of_state(const struct change *change, const char *state)
{
    enum rw_task_state is = rw_task_state_parse(state);
    if (is == change->state_wanted) {
        return STORE_DONE;
    }
    return change->state_wanted == RW_TASK_QUEUED && is == RW_TASK_DEAD ? STORE_DEAD : STORE_FENCED;
}

static void read_back(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct change *change = arg;
    if (err) {
        finish(change, store_outcome_of(err), err);
    } else {
        finish(change, rw_pg_rows(result) == 0 ? STORE_FENCED : outcome_of_state(change, rw_pg_text(result, 0, 0)), NULL);
    }
}

static void changed(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct change *change = arg;
    if (err) {
        finish(change, store_outcome_of(err), err);
        return;
    }
    if (rw_pg_rows(result) > 0) {
        finish(change, PQnfields(result) > 0 ? outcome_of_state(change, rw_pg_text(result, 0, 0)) : STORE_DONE, NULL);
        return;
    }
    struct rw_pg_params params = {0};
    rw_pg_param_uuid(&params, &change->id);
    rw_pg_param_int8(&params, change->fence);
    rw_pg_exec(change->store->pg, STORE_SQL_READ, &params, STORE_TIMEOUT_MS, read_back, change);
}

static void recorded(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct change *change = arg;
    if (err || rw_pg_rows(result) == 0) {
        changed(change, result, err);
        return;
    }
    change->ended_us = rw_pg_timestamp_us(result, 0, 0);
    finish(change, STORE_DONE, NULL);
}

static void param_optional_int4(struct rw_pg_params *params, bool is_given, int32_t value)
{
    if (is_given) {
        rw_pg_param_int4(params, value);
    } else {
        rw_pg_param_null(params);
    }
}

static void param_usage(struct rw_pg_params *params, bool is_given, const struct rw_usage *usage)
{
    if (!is_given) {
        rw_pg_param_null(params);
        rw_pg_param_null(params);
        rw_pg_param_null(params);
        return;
    }
    /* Each is INT64_MAX at most (the protocol's bound); the sum is cut at it. */
    uint64_t cpu_us = usage->cpu_user_us + usage->cpu_system_us;
    rw_pg_param_int8(params, (int64_t)usage->wall_us);
    rw_pg_param_int8(params, cpu_us > INT64_MAX ? INT64_MAX : (int64_t)cpu_us);
    rw_pg_param_int8(params, (int64_t)usage->memory_bytes);
}

void store_record(struct store *store, const struct rw_uuid *id, int64_t fence, const struct store_result *result,
                  store_recorded done, void *arg)
{
    const struct rw_run_result *run = result->run;
    struct change *change = new_change(store, id, fence, RW_TASK_DONE, NULL, arg);
    change->recorded = done;
    change->ended_us = -1;
    struct rw_pg_params params = {0};
    rw_pg_param_uuid(&params, id);
    rw_pg_param_int8(&params, fence);
    rw_pg_param_text(&params, rw_verdict_name(run->verdict));
    param_optional_int4(&params, run->has_exit_code, run->exit_code);
    param_optional_int4(&params, run->signal != 0, run->signal);
    for (enum rw_stream s = 0; s < _RW_STREAM_MAX; s++) {
        rw_pg_param_bytes(&params, result->outputs[s]);
    }
    for (enum rw_stream s = 0; s < _RW_STREAM_MAX; s++) {
        rw_pg_param_bool(&params, run->truncated[s]);
    }
    rw_pg_param_text(&params, run->reason);
    param_usage(&params, result->is_measured, &run->run);
    param_usage(&params, run->has_compile, &run->compile);
    rw_pg_param_timestamp(&params, result->leased_us);
    rw_pg_param_timestamp(&params, result->job_sent_us);
    rw_pg_param_timestamp(&params, result->started_us);
    rw_pg_param_timestamp(&params, result->finished_us);
    rw_pg_exec(store->pg, STORE_SQL_RECORD, &params, STORE_TIMEOUT_MS, recorded, change);
}

void store_lose(struct store *store, const struct rw_uuid *id, int64_t fence, const char *reason, store_changed done, void *arg)
{
    struct rw_pg_params params = {0};
    rw_pg_param_uuid(&params, id);
    rw_pg_param_int8(&params, fence);
    rw_pg_param_text(&params, reason);
    rw_pg_exec(store->pg, STORE_SQL_LOSE, &params, STORE_TIMEOUT_MS, changed,
               new_change(store, id, fence, RW_TASK_QUEUED, done, arg));
}

void store_return(struct store *store, const struct rw_uuid *id, int64_t fence, uint32_t delay_ms, store_changed done, void *arg)
{
    struct rw_pg_params params = {0};
    rw_pg_param_uuid(&params, id);
    rw_pg_param_int8(&params, fence);
    rw_pg_param_int4(&params, (int32_t)delay_ms);
    rw_pg_exec(store->pg, STORE_SQL_RETURN, &params, STORE_TIMEOUT_MS, changed,
               new_change(store, id, fence, RW_TASK_QUEUED, done, arg));
}

/* ---- dead letters ---- */

static void buried(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct change *change = arg;
    if (err) {
        finish(change, store_outcome_of(err), err);
    } else {
        finish(change, rw_pg_rows(result) > 0 ? STORE_DONE : STORE_FENCED, NULL);
    }
}

void store_bury(struct store *store, const struct rw_uuid *id, store_changed done, void *arg)
{
    struct rw_pg_params params = {0};
    rw_pg_param_uuid(&params, id);
    rw_pg_param_text(&params, "the broker gave its message up: delivery limit");
    rw_pg_exec(store->pg, STORE_SQL_BURY, &params, STORE_TIMEOUT_MS, buried, new_change(store, id, 0, RW_TASK_DEAD, done, arg));
}
