/* One connection: waiting -> resolving -> connecting -> preparing -> ready, and back to waiting when it breaks.
 *
 * Pipeline mode, one sync behind each statement: the server commits at the sync, so a result is handed out only when the sync's
 * answer is there (a deferred constraint fails after the statement's own answer). libpq's descriptor is watched by a uv_poll_t
 * that is stopped before libpq may close it. Whoever finds the connection broken where no callback may run marks it BROKEN. */
#include "pg_internal.h"

#include <netinet/in.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 10000, BACKOFF_BASE_MS = 50, BACKOFF_MAX_MS = 3000 };

/* ---- watching libpq's socket ---- */

static void on_watch_closed(uv_handle_t *handle)
{
    struct pg_watch *watch = handle->data;
    struct rw_pg *pg = watch->connection->pg;
    free(watch);
    pg_handle_closed(pg);
}

static void watch_drop(struct pg_connection *connection)
{
    struct pg_watch *watch = rw_take(connection->watch);
    if (watch) {
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
    }
}

/* Before libpq may close its socket or open another. */
static void watch_pause(struct pg_connection *connection)
{
    if (connection->watch) {
        (void)uv_poll_stop(&connection->watch->poll);
        connection->watch->events = 0;
    }
}

static void on_watch(uv_poll_t *poll, int status, int events);

static int watch_for(struct pg_connection *connection, int events)
{
    int fd = PQsocket(connection->conn);
    if (connection->watch && connection->watch->fd != fd) {
        watch_drop(connection);
    }
    if (!connection->watch) {
        struct pg_watch *watch = rw_xcalloc(1, sizeof(*watch));
        if (fd < 0 || uv_poll_init(connection->pg->loop, &watch->poll, fd) != 0) {
            free(watch);
            return -1;
        }
        watch->poll.data = watch;
        watch->fd = fd;
        watch->connection = connection;
        connection->watch = watch;
        connection->pg->n_handles++;
    }
    if (connection->watch->events == events) {
        return 0;
    }
    connection->watch->events = events;
    return uv_poll_start(&connection->watch->poll, events, on_watch);
}

/* Sends what libpq holds; watches for room when it did not all go. */
static int flush(struct pg_connection *connection)
{
    int rc = PQflush(connection->conn);
    return rc < 0 ? -1 : watch_for(connection, rc > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* ---- going down ---- */

static void drop_in_flight(struct pg_connection *connection, enum rw_err failure, const char *reason)
{
    struct pg_request *request = NULL;
    while ((request = TAILQ_FIRST(&connection->in_flight))) {
        TAILQ_REMOVE(&connection->in_flight, request, link);
        pg_fail_later(connection->pg, request, failure, reason);
    }
    connection->n_in_flight = 0;
    PQclear(rw_take(connection->result));
}

static void disconnect(struct pg_connection *connection)
{
    watch_drop(connection);
    PQfinish(rw_take(connection->conn));
    if (connection->is_up) {
        connection->is_up = false;
        connection->pg->n_up--;
    }
}

static void on_backoff_passed(uv_timer_t *timer)
{
    pg_connection_start(timer->data);
}

void pg_connection_break(struct pg_connection *connection, const char *reason)
{
    if (reason) {
        pg_note_error(connection->pg, reason, connection->conn ? PQerrorMessage(connection->conn) : "");
    }
    disconnect(connection);
    drop_in_flight(connection, RW_ERR_UNAVAILABLE, "connection lost, outcome unknown");
    connection->state = PG_CONNECTION_WAITING;
    (void)uv_timer_start(&connection->timer, on_backoff_passed, rw_backoff_next_ms(&connection->backoff), 0);
}

/* From the loop, where callbacks may run. */
static void break_and_tell(struct pg_connection *connection, const char *reason)
{
    struct rw_pg *pg = connection->pg;
    pg_connection_break(connection, reason);
    pg_deliver_failed(pg);
    if (!pg->is_closing) {
        pg_state_changed(pg);
    }
}

/* ---- coming up ---- */

static void on_connect_timeout(uv_timer_t *timer)
{
    break_and_tell(timer->data, "connecting timed out");
}

static int send_prepares(struct pg_connection *connection)
{
    const struct rw_pg_options *options = &connection->pg->options;
    if (PQsetnonblocking(connection->conn, 1) != 0 || PQenterPipelineMode(connection->conn) != 1) {
        return -1;
    }
    for (size_t i = 0; i < options->n_statements; i++) {
        if (PQsendPrepare(connection->conn, options->statements[i].name, options->statements[i].sql, 0, NULL) != 1) {
            return -1;
        }
    }
    return PQpipelineSync(connection->conn) == 1 ? flush(connection) : -1;
}

static void connect_step(struct pg_connection *connection)
{
    watch_pause(connection);
    switch (PQconnectPoll(connection->conn)) {
    case PGRES_POLLING_READING:
        if (watch_for(connection, UV_READABLE) != 0) {
            break_and_tell(connection, "connecting failed");
        }
        return;
    case PGRES_POLLING_WRITING:
        if (watch_for(connection, UV_WRITABLE) != 0) {
            break_and_tell(connection, "connecting failed");
        }
        return;
    case PGRES_POLLING_OK:
        connection->state = PG_CONNECTION_PREPARING;
        if (send_prepares(connection) != 0) {
            break_and_tell(connection, "preparing failed");
        }
        return;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
    default:
        break_and_tell(connection, "connecting failed");
    }
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static void connect_to(struct pg_connection *connection, const char *host_address)
{
    const struct rw_pg_options *options = &connection->pg->options;
    struct pg_keywords keywords;
    pg_keywords_fill(&keywords, options->config, options->password, host_address, options->application_name,
                     options->config->statement_timeout_ms);
    connection->conn = PQconnectStartParams(keywords.keys, keywords.values, 0);
    if (!connection->conn || PQstatus(connection->conn) == CONNECTION_BAD) {
        break_and_tell(connection, "connecting failed");
        return;
    }
    (void)PQsetNoticeProcessor(connection->conn, ignore_notice, NULL);
    connection->state = PG_CONNECTION_CONNECTING;
    if (watch_for(connection, UV_WRITABLE) != 0) {
        break_and_tell(connection, "connecting failed");
    }
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
    struct pg_connection *connection = resolve->data;
    struct rw_pg *pg = connection->pg;
    connection->is_resolving = false;
    /* Not waited for any more: closed, or timed out and waiting for the next attempt. */
    if (connection->state == PG_CONNECTION_RESOLVING && status == 0 && addresses) {
        unsigned n = 0;
        for (const struct addrinfo *at = addresses; at; at = at->ai_next) {
            n++;
        }
        const struct addrinfo *chosen = addresses;
        for (unsigned skip = connection->attempts++ % n; skip > 0; skip--) {
            chosen = chosen->ai_next;
        }
        char text[INET6_ADDRSTRLEN] = "";
        (void)uv_ip_name(chosen->ai_addr, text, sizeof(text));
        connect_to(connection, text);
    } else if (connection->state == PG_CONNECTION_RESOLVING) {
        pg_note_error(pg, "looking up the host", uv_strerror(status));
        break_and_tell(connection, NULL);
    }
    uv_freeaddrinfo(addresses);
    pg_handle_closed(pg);
}

void pg_connection_start(struct pg_connection *connection)
{
    const struct rw_config_database *config = connection->pg->options.config;
    (void)uv_timer_start(&connection->timer, on_connect_timeout, CONNECT_TIMEOUT_MS, 0);
    if (!config->host || config->host[0] == '/') {
        connect_to(connection, NULL);
        return;
    }
    connection->state = PG_CONNECTION_RESOLVING;
    if (connection->is_resolving) {
        return; /* the look-up that timed out still runs; its answer serves this attempt */
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    connection->resolve.data = connection;
    if (uv_getaddrinfo(connection->pg->loop, &connection->resolve, on_resolved, config->host, NULL, &hints) != 0) {
        break_and_tell(connection, "looking up the host failed");
        return;
    }
    connection->is_resolving = true;
    connection->pg->n_handles++;
}

static void become_ready(struct pg_connection *connection)
{
    struct rw_pg *pg = connection->pg;
    (void)uv_timer_stop(&connection->timer);
    rw_backoff_reset(&connection->backoff);
    connection->state = PG_CONNECTION_READY;
    connection->is_up = true;
    pg->n_up++;
    pg_state_changed(pg);
    if (!pg->is_closing) {
        pg_dispatch(pg);
    }
}

static void read_preparing(struct pg_connection *connection)
{
    unsigned n_empty = 0; /* a NULL ends each statement's results; two in a row mean that nothing is there */
    while (n_empty < 2 && !PQisBusy(connection->conn)) {
        PGresult *result = PQgetResult(connection->conn);
        ExecStatusType status = result ? PQresultStatus(result) : PGRES_COMMAND_OK;
        if (status != PGRES_COMMAND_OK && status != PGRES_PIPELINE_SYNC) {
            pg_note_error(connection->pg, "preparing the statements", PQresultErrorMessage(result));
            PQclear(result);
            break_and_tell(connection, NULL);
            return;
        }
        n_empty = result ? 0 : n_empty + 1;
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC) {
            become_ready(connection);
            return;
        }
    }
}

/* ---- statements ---- */

static const struct {
    const char *sqlstate; /* or the beginning of it */
    enum rw_err code;
} sqlstate_errors[] = {
    {"23505", RW_ERR_CONFLICT},    /* unique violation */
    {"08", RW_ERR_UNAVAILABLE},    /* connection exceptions */
    {"25006", RW_ERR_UNAVAILABLE}, /* read only: a standby, until it is promoted */
    {"40", RW_ERR_UNAVAILABLE},    /* rolled back: serialization, deadlock */
    {"53", RW_ERR_UNAVAILABLE},    /* out of disk, memory, connections */
    {"55P03", RW_ERR_UNAVAILABLE}, /* lock not available */
    {"57", RW_ERR_UNAVAILABLE},    /* cancelled by statement_timeout, shutting down, starting up */
    {"58", RW_ERR_UNAVAILABLE},    /* system error: input or output */
};

static enum rw_err error_of(const char *sqlstate)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(sqlstate_errors); i++) {
        if (strncmp(sqlstate, sqlstate_errors[i].sqlstate, strlen(sqlstate_errors[i].sqlstate)) == 0) {
            return sqlstate_errors[i].code;
        }
    }
    return RW_ERR_INTERNAL;
}

static bool is_success(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* The sync behind the first statement in flight: it is committed, or has failed. */
static void finish_first(struct pg_connection *connection)
{
    struct rw_pg *pg = connection->pg;
    RW_AUTO(PQclear) PGresult *result = rw_take(connection->result);
    struct pg_request *request = TAILQ_FIRST(&connection->in_flight);
    TAILQ_REMOVE(&connection->in_flight, request, link);
    connection->n_in_flight--;
    if (is_success(result)) {
        pg_deliver(pg, request, result, NULL);
        return;
    }
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    sqlstate = sqlstate ? sqlstate : "";
    struct rw_error err;
    (void)rw_error_set(&err, error_of(sqlstate), 0, "rw_pg_exec", "statement %s: %s (%s)",
                       pg->options.statements[request->statement].name, message ? message : PQresStatus(PQresultStatus(result)),
                       sqlstate);
    pg_deliver(pg, request, NULL, &err);
}

static void take_result(struct pg_connection *connection, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC && connection->result) {
        PQclear(result);
        finish_first(connection);
    } else if (!connection->result || (is_success(connection->result) && !is_success(result))) {
        PQclear(connection->result); /* an error at the commit replaces the statement's own success */
        connection->result = result;
    } else {
        PQclear(result);
    }
}

static void read_ready(struct pg_connection *connection)
{
    struct rw_pg *pg = connection->pg;
    unsigned n_empty = 0;
    while (connection->state == PG_CONNECTION_READY && n_empty < 2 && !PQisBusy(connection->conn) && connection->n_in_flight > 0) {
        PGresult *result = PQgetResult(connection->conn);
        n_empty = result ? 0 : n_empty + 1;
        if (result) {
            take_result(connection, result);
        }
    }
    if (!pg->is_closing) {
        pg_dispatch(pg);
    }
}

static void on_watch(uv_poll_t *poll, int status, int events)
{
    struct pg_watch *watch = poll->data;
    struct pg_connection *connection = watch->connection;
    if (connection->state == PG_CONNECTION_CONNECTING) {
        connect_step(connection);
        return;
    }
    if (status < 0 || connection->state == PG_CONNECTION_BROKEN ||
        ((events & UV_READABLE) && PQconsumeInput(connection->conn) != 1)) {
        break_and_tell(connection, "connection lost");
        return;
    }
    if (connection->state == PG_CONNECTION_PREPARING) {
        read_preparing(connection);
    } else {
        read_ready(connection);
    }
    bool is_live = connection->state == PG_CONNECTION_PREPARING || connection->state == PG_CONNECTION_READY;
    if (is_live && (PQstatus(connection->conn) == CONNECTION_BAD || flush(connection) != 0)) {
        break_and_tell(connection, "connection lost");
    }
}

void pg_connection_send(struct pg_connection *connection, struct pg_request *request, unsigned count, const char *const *values,
                        const int *lengths)
{
    static const int binary[RW_PG_PARAMS_MAX] = {
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    };
    const char *name = connection->pg->options.statements[request->statement].name;
    TAILQ_INSERT_TAIL(&connection->in_flight, request, link);
    connection->n_in_flight++;
    if (PQsendQueryPrepared(connection->conn, name, (int)count, values, lengths, binary, 1) != 1 ||
        PQpipelineSync(connection->conn) != 1 || flush(connection) != 0) {
        connection->state = PG_CONNECTION_BROKEN;
        pg_soon(connection->pg);
    }
}

/* ---- life ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct pg_connection *connection = handle->data;
    pg_handle_closed(connection->pg);
}

void pg_connection_init(struct pg_connection *connection, struct rw_pg *pg)
{
    connection->pg = pg;
    connection->state = PG_CONNECTION_WAITING;
    TAILQ_INIT(&connection->in_flight);
    rw_backoff_init(&connection->backoff, BACKOFF_BASE_MS, BACKOFF_MAX_MS);
    (void)uv_timer_init(pg->loop, &connection->timer);
    connection->timer.data = connection;
    pg->n_handles++;
}

void pg_connection_close(struct pg_connection *connection)
{
    connection->state = PG_CONNECTION_CLOSED;
    disconnect(connection);
    drop_in_flight(connection, RW_ERR_CANCELLED, "the database connections are closing");
    uv_close((uv_handle_t *)&connection->timer, on_timer_closed);
    if (connection->is_resolving) {
        (void)uv_cancel((uv_req_t *)&connection->resolve);
    }
}
