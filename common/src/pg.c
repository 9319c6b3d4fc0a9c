/* The pool: the queue of statements, their deadlines, and who is told what.
 *
 * Everything runs on the loop's thread. A statement is in exactly one list: waiting (no connection can take it now), a connection's
 * in_flight, or failed (to be answered on the next turn of the loop). pg_deliver is the one place where a callback is called and
 * the request freed, so that it happens once. A callback may call rw_pg_exec and rw_pg_close; after each callback the caller here
 * looks at the state again, and memory lives until the loop has closed every handle. rw_pg_exec never calls back, but after
 * close. */
#include "pg_internal.h"

#include <stdio.h>

#include <rw/clock.h>

enum { DEADLINE_SCAN_MS_MIN = 10 };

/* The failures that are counted, and the reason metric labels them with. */
static const enum rw_err counted_failures[] = {
    RW_ERR_UNAVAILABLE, RW_ERR_TIMEOUT, RW_ERR_OVERLOADED, RW_ERR_CANCELLED, RW_ERR_CONFLICT, RW_ERR_INTERNAL,
};

static void arm_deadline(struct rw_pg *pg, int64_t due_ms);

/* ---- answering ---- */

void pg_deliver(struct rw_pg *pg, struct pg_request *request, const PGresult *result, const struct rw_error *err)
{
    rw_histogram_observe(pg->durations[request->statement], (double)(rw_monotonic_us() - request->begun_us) / 1e6);
    if (err && pg->failures[err->code]) {
        rw_counter_add(pg->failures[err->code], 1);
    }
    rw_pg_done done = request->done;
    void *arg = request->arg;
    free(request->params);
    free(request);
    done(arg, result, err);
}

void pg_fail_later(struct rw_pg *pg, struct pg_request *request, enum rw_err failure, const char *reason)
{
    request->failure = failure;
    request->reason = reason;
    TAILQ_INSERT_TAIL(&pg->failed, request, link);
    pg_soon(pg);
}

void pg_deliver_failed(struct rw_pg *pg)
{
    struct pg_request *request = NULL;
    while ((request = TAILQ_FIRST(&pg->failed))) {
        TAILQ_REMOVE(&pg->failed, request, link);
        struct rw_error err;
        (void)rw_error_set(&err, request->failure, 0, "rw_pg_exec", "statement %s: %s",
                           pg->options.statements[request->statement].name, request->reason);
        pg_deliver(pg, request, NULL, &err);
    }
}

static void on_soon(uv_timer_t *timer)
{
    struct rw_pg *pg = timer->data;
    for (size_t i = 0; i < pg->n_connections; i++) {
        if (pg->connections[i].state == PG_CONNECTION_BROKEN) {
            pg_connection_break(&pg->connections[i], "connection lost");
        }
    }
    pg_deliver_failed(pg);
    if (!pg->is_closing) {
        pg_state_changed(pg);
    }
}

void pg_soon(struct rw_pg *pg)
{
    if (!pg->is_closing) {
        (void)uv_timer_start(&pg->soon, on_soon, 0, 0);
    }
}

void pg_state_changed(struct rw_pg *pg)
{
    rw_gauge_set(pg->up_gauge, (int64_t)pg->n_up);
    bool is_connected = pg->n_up > 0;
    if (is_connected != pg->was_connected) {
        pg->was_connected = is_connected;
        if (pg->options.on_state) {
            pg->options.on_state(pg->options.arg, is_connected);
        }
    }
}

void pg_note_error(struct rw_pg *pg, const char *context, const char *message)
{
    char line[RW_ERROR_MESSAGE_BYTES - 48];
    pg_one_line(message, line, sizeof(line));
    (void)snprintf(pg->last_error, sizeof(pg->last_error), "%.45s%s%s", context, line[0] ? ": " : "", line);
}

/* ---- the queue ---- */

static void waiting_remove(struct rw_pg *pg, struct pg_request *request)
{
    TAILQ_REMOVE(&pg->waiting, request, link);
    pg->n_waiting--;
    rw_gauge_set(pg->queue_gauge, (int64_t)pg->n_waiting);
}

static struct pg_connection *least_loaded(struct rw_pg *pg)
{
    struct pg_connection *best = NULL;
    for (size_t i = 0; i < pg->n_connections; i++) {
        struct pg_connection *connection = &pg->connections[i];
        if (connection->state == PG_CONNECTION_READY && connection->n_in_flight < PG_PIPELINE_MAX &&
            (!best || connection->n_in_flight < best->n_in_flight)) {
            best = connection;
        }
    }
    return best;
}

static void send_on(struct rw_pg *pg, struct pg_connection *connection, struct pg_request *request, unsigned count,
                    const char *const *values, const int *lengths)
{
    request->deadline_ms = rw_monotonic_ms() + request->timeout_ms;
    pg_connection_send(connection, request, count, values, lengths);
    arm_deadline(pg, request->deadline_ms);
}

void pg_dispatch(struct rw_pg *pg)
{
    struct pg_connection *connection = NULL;
    while (!TAILQ_EMPTY(&pg->waiting) && (connection = least_loaded(pg))) {
        struct pg_request *request = TAILQ_FIRST(&pg->waiting);
        struct pg_params_copy *params = rw_take(request->params);
        waiting_remove(pg, request);
        send_on(pg, connection, request, params->count, params->values, params->lengths);
        free(params);
    }
}

void rw_pg_exec(struct rw_pg *pg, size_t statement, const struct rw_pg_params *params, uint32_t timeout_ms, rw_pg_done done,
                void *arg)
{
    static const struct rw_pg_params none = {.count = 0};
    params = params ? params : &none;
    struct pg_request *request = rw_xcalloc(1, sizeof(*request));
    request->statement = statement;
    request->done = done;
    request->arg = arg;
    request->timeout_ms = timeout_ms;
    request->begun_us = rw_monotonic_us();
    if (pg->is_closing) {
        pg_fail_later(pg, request, RW_ERR_CANCELLED, "the database connections are closing");
        pg_deliver_failed(pg); /* there may be no next turn */
        return;
    }
    if (params->count != pg->options.statements[statement].n_params) {
        pg_fail_later(pg, request, RW_ERR_INTERNAL, "wrong number of parameters");
        return;
    }
    struct pg_connection *connection = TAILQ_EMPTY(&pg->waiting) ? least_loaded(pg) : NULL;
    if (connection) {
        send_on(pg, connection, request, params->count, params->values, params->lengths);
        return;
    }
    if (pg->n_waiting >= pg->options.queue_max) {
        pg_fail_later(pg, request, RW_ERR_OVERLOADED, "too many statements wait");
        return;
    }
    request->params = pg_params_copy(params);
    request->deadline_ms = rw_monotonic_ms() + timeout_ms;
    TAILQ_INSERT_TAIL(&pg->waiting, request, link);
    pg->n_waiting++;
    rw_gauge_set(pg->queue_gauge, (int64_t)pg->n_waiting);
    arm_deadline(pg, request->deadline_ms);
}

/* ---- deadlines ---- */

/* Fails what waited too long; returns when the next one is due, INT64_MAX when none waits. */
static int64_t expire_waiting(struct rw_pg *pg, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    struct pg_request *request = TAILQ_FIRST(&pg->waiting);
    while (request) {
        struct pg_request *next = TAILQ_NEXT(request, link);
        if (request->deadline_ms <= now_ms) {
            waiting_remove(pg, request);
            pg_fail_later(pg, request, RW_ERR_TIMEOUT, "no connection was free in time; it was not sent");
        } else if (request->deadline_ms < next_ms) {
            next_ms = request->deadline_ms;
        }
        request = next;
    }
    return next_ms;
}

/* A server that does not answer in time is not to be trusted with what lies behind either: the connection goes. */
static int64_t expire_in_flight(struct rw_pg *pg, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < pg->n_connections; i++) {
        struct pg_connection *connection = &pg->connections[i];
        int64_t due_ms = INT64_MAX;
        const struct pg_request *request = NULL;
        TAILQ_FOREACH(request, &connection->in_flight, link)
        {
            due_ms = request->deadline_ms < due_ms ? request->deadline_ms : due_ms;
        }
        if (due_ms <= now_ms) {
            pg_connection_break(connection, "a statement was not answered in time");
        } else if (due_ms < next_ms) {
            next_ms = due_ms;
        }
    }
    return next_ms;
}

static void on_deadline(uv_timer_t *timer)
{
    struct rw_pg *pg = timer->data;
    pg->deadline_timer_ms = 0;
    int64_t now_ms = rw_monotonic_ms();
    int64_t waiting_ms = expire_waiting(pg, now_ms);
    int64_t in_flight_ms = expire_in_flight(pg, now_ms);
    int64_t next_ms = waiting_ms < in_flight_ms ? waiting_ms : in_flight_ms;
    if (next_ms != INT64_MAX) {
        arm_deadline(pg, next_ms);
    }
    pg_deliver_failed(pg);
    if (!pg->is_closing) {
        pg_state_changed(pg);
    }
}

/* One timer for all: it runs to the earliest deadline known when it was started, then looks at everything. */
static void arm_deadline(struct rw_pg *pg, int64_t due_ms)
{
    int64_t now_ms = rw_monotonic_ms();
    if (due_ms < now_ms + DEADLINE_SCAN_MS_MIN) {
        due_ms = now_ms + DEADLINE_SCAN_MS_MIN;
    }
    if (pg->deadline_timer_ms == 0 || due_ms < pg->deadline_timer_ms) {
        pg->deadline_timer_ms = due_ms;
        uv_update_time(pg->loop);
        (void)uv_timer_start(&pg->deadline_timer, on_deadline, (uint64_t)(due_ms - now_ms), 0);
    }
}

/* ---- life ---- */

static void pool_free(struct rw_pg *pg)
{
    free(pg->connections);
    free(pg->durations);
    free(pg);
}

void pg_handle_closed(struct rw_pg *pg)
{
    if (--pg->n_handles == 0) {
        pool_free(pg);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    pg_handle_closed(handle->data);
}

static void register_metrics(struct rw_pg *pg)
{
    struct rw_metrics *metrics = pg->options.metrics;
    pg->durations = rw_xcalloc(pg->options.n_statements, sizeof(struct rw_histogram *));
    for (size_t i = 0; i < pg->options.n_statements; i++) {
        RW_AUTO_FREE char *label = rw_xasprintf("statement=\"%s\"", pg->options.statements[i].name);
        pg->durations[i] = rw_metrics_histogram(metrics, "runwave_database_statement_seconds", label,
                                                "From the call to the answer, waiting for a connection included.",
                                                rw_metrics_seconds_bounds, rw_metrics_n_seconds_bounds);
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(counted_failures); i++) {
        RW_AUTO_FREE char *label = rw_xasprintf("reason=\"%s\"", rw_err_name(counted_failures[i]));
        pg->failures[counted_failures[i]] = rw_metrics_counter(metrics, "runwave_database_failures_total", label,
                                                               "Statements that failed.");
    }
    pg->queue_gauge = rw_metrics_gauge(metrics, "runwave_database_queue_length", NULL, "Statements waiting for a connection.");
    pg->up_gauge = rw_metrics_gauge(metrics, "runwave_database_connections_up", NULL, "Connections that take statements.");
}

static void init_timer(struct rw_pg *pg, uv_timer_t *timer)
{
    (void)uv_timer_init(pg->loop, timer);
    timer->data = pg;
    pg->n_handles++;
}

int rw_pg_open(uv_loop_t *loop, const struct rw_pg_options *options, struct rw_pg **ret_pg, struct rw_error *err)
{
    if (options->config->connections == 0) {
        return rw_fail(err, CONFIG, "database: connections must be at least 1");
    }
    struct rw_pg *pg = rw_xcalloc(1, sizeof(*pg));
    pg->loop = loop;
    pg->options = *options;
    pg->n_connections = options->config->connections;
    pg->connections = rw_xcalloc(pg->n_connections, sizeof(*pg->connections));
    TAILQ_INIT(&pg->waiting);
    TAILQ_INIT(&pg->failed);
    init_timer(pg, &pg->deadline_timer);
    init_timer(pg, &pg->soon);
    register_metrics(pg);
    for (size_t i = 0; i < pg->n_connections; i++) {
        pg_connection_init(&pg->connections[i], pg);
    }
    for (size_t i = 0; i < pg->n_connections; i++) {
        pg_connection_start(&pg->connections[i]);
    }
    *ret_pg = pg;
    return 0;
}

bool rw_pg_is_connected(const struct rw_pg *pg)
{
    return pg->n_up > 0;
}

const char *rw_pg_last_error(const struct rw_pg *pg)
{
    return pg->last_error;
}

void rw_pg_close(struct rw_pg *pg)
{
    if (!pg || pg->is_closing) {
        return;
    }
    pg->is_closing = true;
    struct pg_request *request = NULL;
    for (size_t i = 0; i < pg->n_connections; i++) {
        pg_connection_close(&pg->connections[i]);
    }
    while ((request = TAILQ_FIRST(&pg->waiting))) {
        waiting_remove(pg, request);
        pg_fail_later(pg, request, RW_ERR_CANCELLED, "the database connections are closing");
    }
    rw_gauge_set(pg->up_gauge, 0);
    uv_close((uv_handle_t *)&pg->deadline_timer, on_timer_closed);
    uv_close((uv_handle_t *)&pg->soon, on_timer_closed);
    pg_deliver_failed(pg);
}
