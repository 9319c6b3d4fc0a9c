/* PostgreSQL: a pool of libpq connections in pipeline mode on a libuv loop. All calls and callbacks on the loop's thread.
 *
 * Every statement is prepared on each connection and runs as a transaction of its own (a pipeline sync follows it), so that a
 * failing one fails alone. Parameters and results are binary. While no connection is up, statements wait, up to queue_max of them
 * and each up to its own timeout. When a connection breaks, statements under way on it fail with UNAVAILABLE: their outcome is
 * unknown, so each must be safe to repeat. Reconnects with back-off for as long as it is open. */
#ifndef RW_PG_H
#define RW_PG_H

#include <libpq-fe.h>
#include <uv.h>

#include <rw/auto.h>
#include <rw/bytes.h>
#include <rw/config.h>
#include <rw/metrics.h>
#include <rw/uuid.h>

RW_DEFINE_AUTO(PGresult *, PQclear);

struct rw_pg_statement {
    const char *name;
    const char *sql;
    unsigned n_params;
};

struct rw_pg_options {
    const struct rw_config_database *config;  /* borrowed until close */
    const char *password;                     /* borrowed until close */
    const char *application_name;             /* static; shown in pg_stat_activity */
    const struct rw_pg_statement *statements; /* static */
    size_t n_statements;
    size_t queue_max;
    struct rw_metrics *metrics;
    void (*on_state)(void *arg, bool is_connected); /* may be NULL; when the first connection comes up and the last goes */
    void *arg;
};

enum { RW_PG_PARAMS_MAX = 32 };

struct rw_pg_params { /* fill with the functions below, in the order of $1, $2, …; views are borrowed until rw_pg_exec returns */
    unsigned count;
    const char *values[RW_PG_PARAMS_MAX];
    int lengths[RW_PG_PARAMS_MAX];
    uint8_t scratch[RW_PG_PARAMS_MAX][16];
};

void rw_pg_param_null(struct rw_pg_params *params);
void rw_pg_param_text(struct rw_pg_params *params, const char *text);       /* NULL gives NULL */
void rw_pg_param_bytes(struct rw_pg_params *params, struct rw_bytes bytes); /* bytea */
void rw_pg_param_int4(struct rw_pg_params *params, int32_t value);
void rw_pg_param_int8(struct rw_pg_params *params, int64_t value);
void rw_pg_param_bool(struct rw_pg_params *params, bool value);
void rw_pg_param_uuid(struct rw_pg_params *params, const struct rw_uuid *uuid);
void rw_pg_param_timestamp(struct rw_pg_params *params, int64_t realtime_us); /* timestamptz; negative gives NULL */
/* uuid[] of n elements into *buffer, which must live until rw_pg_exec returns. */
RW_NODISCARD int rw_pg_param_uuid_array(struct rw_pg_params *params, const struct rw_uuid *uuids, size_t n,
                                        struct rw_buffer *buffer, struct rw_error *err);
/* int8[], likewise. */
RW_NODISCARD int rw_pg_param_int8_array(struct rw_pg_params *params, const int64_t *values, size_t n, struct rw_buffer *buffer,
                                        struct rw_error *err);

/* Binary getters; the column must have the type. */
bool rw_pg_is_null(const PGresult *result, int row, int column);
int32_t rw_pg_int4(const PGresult *result, int row, int column);
int64_t rw_pg_int8(const PGresult *result, int row, int column);
bool rw_pg_bool(const PGresult *result, int row, int column);
struct rw_uuid rw_pg_uuid(const PGresult *result, int row, int column);
struct rw_bytes rw_pg_bytes(const PGresult *result, int row, int column); /* bytea or text, borrowed from the result */
const char *rw_pg_text(const PGresult *result, int row, int column);      /* borrowed; NULL when null */
int64_t rw_pg_timestamp_us(const PGresult *result, int row, int column);  /* since the Unix epoch; -1 when null */
/* Rows touched by an INSERT, UPDATE or DELETE, or returned. */
int64_t rw_pg_rows(const PGresult *result);

struct rw_pg;

/* Called exactly once a statement. result: borrowed, NULL when err is given. err: NULL on success; UNAVAILABLE (connection lost,
 * outcome unknown), TIMEOUT (never sent), OVERLOADED (queue full), CANCELLED (closing), CONFLICT (unique violation),
 * INTERNAL (the server refused the statement). UNAVAILABLE is also what the server rolled back for a passing reason (deadlock,
 * statement_timeout, shutdown, read-only standby). Never called from inside rw_pg_exec, except CANCELLED after rw_pg_close. It may
 * call rw_pg_exec and rw_pg_close. */
typedef void (*rw_pg_done)(void *arg, const PGresult *result, const struct rw_error *err);

/* Starts connecting and returns at once. */
RW_NODISCARD int rw_pg_open(uv_loop_t *loop, const struct rw_pg_options *options, struct rw_pg **ret_pg, struct rw_error *err);
bool rw_pg_is_connected(const struct rw_pg *pg);
/* Why the newest connection could not be made or broke, one line without secrets; "" when none has. Borrowed until the next
 * turn. */
const char *rw_pg_last_error(const struct rw_pg *pg);
/* statement: index into the table. timeout_ms: how long it may wait to be sent, and then to be answered. */
void rw_pg_exec(struct rw_pg *pg, size_t statement, const struct rw_pg_params *params, uint32_t timeout_ms, rw_pg_done done,
                void *arg);
/* Statements still waiting are answered with CANCELLED before it returns; the memory goes when the loop has closed the handles. */
void rw_pg_close(struct rw_pg *pg);

/* Apply the migrations under an advisory lock; blocking, at start, on a connection of its own. Retries until timeout_ms while the
 * server cannot be reached. CONFIG when the database is newer than this program. *ret_applied: how many were applied. */
RW_NODISCARD int rw_pg_migrate(const struct rw_config_database *config, const char *password, uint32_t timeout_ms,
                               unsigned *ret_applied, struct rw_error *err);

#endif
