/* What the files of the PostgreSQL pool share. pg.c: the pool, its queue and its deadlines. pg_connection.c: one connection.
 * pg_params.c: parameters and results. pg_keywords.c: how to reach the server. pg_migrate.c: migrations. */
#ifndef RW_PG_INTERNAL_H
#define RW_PG_INTERNAL_H

#include <sys/queue.h>

#include <rw/backoff.h>
#include <rw/pg.h>

/* ---- what libpq is given to connect ---- */

enum { PG_KEYWORDS_MAX = 20 };
struct pg_keywords {
    const char *keys[PG_KEYWORDS_MAX + 1];
    const char *values[PG_KEYWORDS_MAX + 1];
    char port[16];
    char options[64];
};
/* host_address: numeric, or NULL when libpq is to look the host up itself (it would block). */
void pg_keywords_fill(struct pg_keywords *keywords, const struct rw_config_database *config, const char *password,
                      const char *host_address, const char *application_name, uint32_t statement_timeout_ms);
/* libpq's message as one line. */
void pg_one_line(const char *message, char *out, size_t out_size);

/* ---- parameters that outlive rw_pg_exec ---- */

struct pg_params_copy {
    unsigned count;
    const char *values[RW_PG_PARAMS_MAX];
    int lengths[RW_PG_PARAMS_MAX];
    char data[];
};
struct pg_params_copy *pg_params_copy(const struct rw_pg_params *params); /* owned by caller: free() */

/* ---- statements ---- */

struct pg_request {
    TAILQ_ENTRY(pg_request) link; /* in exactly one of: waiting, a connection's in_flight, failed */
    size_t statement;
    rw_pg_done done;
    void *arg;
    uint32_t timeout_ms;
    int64_t begun_us;
    int64_t deadline_ms;           /* to be sent, later to be answered */
    struct pg_params_copy *params; /* while waiting */
    enum rw_err failure;           /* while in failed */
    const char *reason;            /* static; while in failed */
};
TAILQ_HEAD(pg_requests, pg_request);

/* ---- connections ---- */

enum pg_connection_state {
    PG_CONNECTION_WAITING,    /* for the back-off to pass */
    PG_CONNECTION_RESOLVING,  /* host name, on libuv's thread pool */
    PG_CONNECTION_CONNECTING, /* PQconnectPoll */
    PG_CONNECTION_PREPARING,  /* statements sent, waiting for the sync behind them */
    PG_CONNECTION_READY,
    PG_CONNECTION_BROKEN, /* noticed where no callback may run; taken down on the next turn of the loop */
    PG_CONNECTION_CLOSED,
};

struct pg_watch { /* a uv_poll_t with its own life: it ends when the loop has closed it */
    uv_poll_t poll;
    int fd;
    int events;
    struct pg_connection *connection;
};

struct pg_connection {
    struct rw_pg *pg;
    enum pg_connection_state state;
    PGconn *conn;
    struct pg_watch *watch;
    uv_timer_t timer; /* back-off, or the deadline of connecting and preparing */
    uv_getaddrinfo_t resolve;
    bool is_resolving;
    bool is_up;        /* counted in the pool's n_up */
    unsigned attempts; /* picks the address where a name has several */
    struct rw_backoff backoff;
    struct pg_requests in_flight;
    size_t n_in_flight;
    PGresult *result; /* of the first in flight, until its sync arrives: the commit may still fail */
};

enum { PG_PIPELINE_MAX = 32 }; /* statements in flight on one connection */

void pg_connection_init(struct pg_connection *connection, struct rw_pg *pg);
void pg_connection_start(struct pg_connection *connection);
/* When the connection breaks meanwhile, the request fails with it on the next turn of the loop. */
void pg_connection_send(struct pg_connection *connection, struct pg_request *request, unsigned count, const char *const *values,
                        const int *lengths);
/* reason: static; NULL when pg_note_error was called already. Take it down: what is in flight goes to the pool's failed list, and
 * it tries again after a back-off. Runs no statement's callback. */
void pg_connection_break(struct pg_connection *connection, const char *reason);
void pg_connection_close(struct pg_connection *connection);

/* ---- the pool ---- */

struct rw_pg {
    uv_loop_t *loop;
    struct rw_pg_options options;
    struct pg_connection *connections;
    size_t n_connections;
    size_t n_up;
    size_t n_handles; /* that the loop has not closed yet; the memory goes with the last one */
    bool is_closing;
    bool was_connected; /* what on_state was told */
    struct pg_requests waiting;
    size_t n_waiting;
    struct pg_requests failed; /* answered from the loop, never from inside rw_pg_exec */
    uv_timer_t deadline_timer;
    int64_t deadline_timer_ms; /* when it is due; 0: not running */
    uv_timer_t soon;           /* zero delay: failed statements, broken connections */
    char last_error[RW_ERROR_MESSAGE_BYTES];
    struct rw_histogram **durations; /* by statement */
    struct rw_counter *failures[_RW_ERR_MAX];
    struct rw_gauge *queue_gauge;
    struct rw_gauge *up_gauge;
};

void pg_handle_closed(struct rw_pg *pg); /* one handle fewer */
void pg_soon(struct rw_pg *pg);          /* run the failed list soon */
void pg_fail_later(struct rw_pg *pg, struct pg_request *request, enum rw_err failure, const char *reason); /* takes the request */
void pg_deliver(struct rw_pg *pg, struct pg_request *request, const PGresult *result, const struct rw_error *err); /* frees it */
void pg_deliver_failed(struct rw_pg *pg);
void pg_dispatch(struct rw_pg *pg); /* send what waits */
void pg_state_changed(struct rw_pg *pg);
void pg_note_error(struct rw_pg *pg, const char *context, const char *message);

#endif
