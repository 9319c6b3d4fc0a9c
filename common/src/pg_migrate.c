/* Migrations: blocking, once at start. Several daemons starting together take turns under an advisory lock; each migration is a
 * transaction with its row in runwave_migrations, so that a crash leaves either both or neither and any start can go on. */
#include "pg_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rw/clock.h>

#include "pg_migrations.h"

#define ADVISORY_LOCK "8246723451902837" /* any number nobody else uses */

enum { BACKOFF_BASE_MS = 100, BACKOFF_MAX_MS = 2000 };

RW_DEFINE_AUTO(PGconn *, PQfinish);

static int fail_from(PGconn *conn, const PGresult *result, const char *what, struct rw_error *err)
{
    char line[RW_ERROR_MESSAGE_BYTES];
    pg_one_line(result ? PQresultErrorMessage(result) : PQerrorMessage(conn), line, sizeof(line));
    /* A lost connection is worth another try, whatever the statement said. */
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    bool is_lost = PQstatus(conn) == CONNECTION_BAD || (sqlstate && strncmp(sqlstate, "57P", 3) == 0);
    if (sqlstate && strcmp(sqlstate, "55P03") == 0) {
        return rw_fail(err, TIMEOUT, "%s: %s", what, line);
    }
    return is_lost ? rw_fail(err, UNAVAILABLE, "%s: %s", what, line) : rw_fail(err, INTERNAL, "%s: %s", what, line);
}

/* One simple query, possibly of several statements; *ret_result may be NULL when the rows are not wanted. */
static int query(PGconn *conn, const char *sql, const char *what, PGresult **ret_result, struct rw_error *err)
{
    RW_AUTO(PQclear) PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        return fail_from(conn, result, what, err);
    }
    if (ret_result) {
        *ret_result = rw_take(result);
    }
    return 0;
}

static int lock(PGconn *conn, int64_t deadline_ms, struct rw_error *err)
{
    int64_t left_ms = deadline_ms - rw_monotonic_ms();
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "SET lock_timeout = %lld; SELECT pg_advisory_lock(" ADVISORY_LOCK "); SET lock_timeout = 0",
                   (long long)(left_ms > 1 ? left_ms : 1));
    return query(conn, sql, "waiting for another program's migration", NULL, err);
}

/* How many of our migrations the database has. */
static int applied_count(PGconn *conn, size_t *ret_applied, struct rw_error *err)
{
    RW_AUTO(PQclear) PGresult *rows = NULL;
    if (query(conn,
              "CREATE TABLE IF NOT EXISTS runwave_migrations (version integer PRIMARY KEY, name text NOT NULL, "
              "applied_at timestamptz NOT NULL DEFAULT now())",
              "creating runwave_migrations", NULL, err) != 0 ||
        query(conn, "SELECT version, name FROM runwave_migrations ORDER BY version", "reading runwave_migrations", &rows, err) !=
            0) {
        return -1;
    }
    size_t n = (size_t)PQntuples(rows);
    if (n > pg_n_migrations) {
        return rw_fail(err, CONFIG, "the database is newer than this program: it has migration %s, the newest known is %zu",
                       PQgetvalue(rows, (int)n - 1, 0), pg_n_migrations);
    }
    for (size_t i = 0; i < n; i++) {
        if (atoi(PQgetvalue(rows, (int)i, 0)) != pg_migrations[i].version ||
            strcmp(PQgetvalue(rows, (int)i, 1), pg_migrations[i].name) != 0) {
            return rw_fail(err, CONFIG, "the database has migration %s_%s where this program has %d_%s",
                           PQgetvalue(rows, (int)i, 0), PQgetvalue(rows, (int)i, 1), pg_migrations[i].version,
                           pg_migrations[i].name);
        }
    }
    *ret_applied = n;
    return 0;
}

static int apply(PGconn *conn, const struct pg_migration *migration, struct rw_error *err)
{
    char what[64];
    (void)snprintf(what, sizeof(what), "migration %04d_%.40s", migration->version, migration->name);
    /* Version and name come from our own table: digits, and [a-z0-9_] as the build has checked. */
    RW_AUTO_FREE char *record = rw_xasprintf("INSERT INTO runwave_migrations (version, name) VALUES (%d, '%s'); COMMIT",
                                             migration->version, migration->name);
    if (query(conn, "BEGIN", what, NULL, err) != 0 || query(conn, migration->sql, what, NULL, err) != 0) {
        return -1; /* the transaction goes with the connection */
    }
    return query(conn, record, what, NULL, err);
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static int migrate_once(const struct pg_keywords *keywords, int64_t deadline_ms, unsigned *applied, struct rw_error *err)
{
    RW_AUTO(PQfinish) PGconn *conn = PQconnectdbParams(keywords->keys, keywords->values, 0);
    if (PQstatus(conn) != CONNECTION_OK) {
        char line[RW_ERROR_MESSAGE_BYTES];
        pg_one_line(PQerrorMessage(conn), line, sizeof(line));
        return rw_fail(err, UNAVAILABLE, "%s", line);
    }
    (void)PQsetNoticeProcessor(conn, ignore_notice, NULL);
    size_t n = 0;
    if (lock(conn, deadline_ms, err) != 0 || applied_count(conn, &n, err) != 0) {
        return -1;
    }
    for (; n < pg_n_migrations; n++) {
        if (apply(conn, &pg_migrations[n], err) != 0) {
            return -1;
        }
        (*applied)++;
    }
    return 0;
}

int rw_pg_migrate(const struct rw_config_database *config, const char *password, uint32_t timeout_ms, unsigned *ret_applied,
                  struct rw_error *err)
{
    struct pg_keywords keywords;
    pg_keywords_fill(&keywords, config, password, NULL, "runwave-migrate", 0); /* a migration may take as long as it takes */
    struct rw_backoff backoff;
    rw_backoff_init(&backoff, BACKOFF_BASE_MS, BACKOFF_MAX_MS);
    int64_t deadline_ms = rw_monotonic_ms() + timeout_ms;
    unsigned applied = 0;
    struct rw_error failure = {.code = RW_OK};
    for (;;) {
        if (migrate_once(&keywords, deadline_ms, &applied, &failure) == 0) {
            *ret_applied = applied;
            return 0;
        }
        uint32_t pause_ms = rw_backoff_next_ms(&backoff);
        if (failure.code != RW_ERR_UNAVAILABLE || rw_monotonic_ms() + pause_ms >= deadline_ms) {
            return rw_error_set(err, failure.code, failure.sys_errno, failure.where, "database: %.200s", failure.message);
        }
        const struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = (long)(pause_ms % 1000) * 1000000};
        (void)nanosleep(&pause, NULL);
    }
}
