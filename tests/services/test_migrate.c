/* Migrations against a real database of their own (RUNWAVE_TEST_PG_MIGRATE_NAME), which is emptied before each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include <rw/clock.h>
#include <rw/pg.h>

#include "support.h"

static struct rw_config_database migrate_config(void)
{
    struct rw_config_database config = database_config();
    config.name = (char *)(uintptr_t)need_env("RUNWAVE_TEST_PG_MIGRATE_NAME");
    return config;
}

/* Runs SQL; returns the first field of the last result as a number. */
static long sql(const char *text)
{
    struct rw_config_database config = migrate_config();
    char port[16];
    (void)snprintf(port, sizeof(port), "%u", config.port);
    const char *keys[] = {"host", "port", "dbname", "user", "password", "options", NULL};
    const char *values[] = {config.host, port, config.name, config.user, database_password(), "-c client_min_messages=error", NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 0);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    PGresult *result = PQexec(conn, text);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", text, PQerrorMessage(conn));
    }
    long value = PQntuples(result) > 0 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(conn);
    return value;
}

static int setup(void **state)
{
    (void)state;
    (void)sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    return 0;
}

static int migrate(uint32_t timeout_ms, unsigned *ret_applied, struct rw_error *err)
{
    struct rw_config_database config = migrate_config();
    return rw_pg_migrate(&config, database_password(), timeout_ms, ret_applied, err);
}

static void an_empty_database_gets_all_and_then_none(void **state)
{
    (void)state;
    unsigned applied = 99;
    struct rw_error err = {.message = ""};
    assert_int_equal(migrate(10000, &applied, &err), 0);
    assert_true(applied >= 1);
    assert_int_equal(sql("SELECT count(*) FROM runwave_migrations"), applied);
    assert_int_equal(sql("SELECT count(*) FROM runwave_migrations WHERE version = 1 AND name = 'tasks'"), 1);
    assert_int_equal(sql("SELECT count(*) FROM tasks"), 0);
    assert_int_equal(migrate(10000, &applied, &err), 0);
    assert_int_equal(applied, 0);
}

static void *migrate_thread(void *arg)
{
    struct rw_error err;
    unsigned applied = 0;
    int rc = migrate(20000, &applied, &err);
    *(int *)arg = rc == 0 ? (int)applied : -1;
    return NULL;
}

static void programs_starting_together_take_turns(void **state)
{
    (void)state;
    enum { N = 6 };
    pthread_t threads[N];
    int applied[N];
    for (int i = 0; i < N; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_thread, &applied[i]), 0);
    }
    int sum = 0;
    for (int i = 0; i < N; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_true(applied[i] >= 0);
        sum += applied[i];
    }
    assert_int_equal(sum, sql("SELECT count(*) FROM runwave_migrations"));
}

static void a_newer_database_is_refused(void **state)
{
    (void)state;
    unsigned applied = 0;
    struct rw_error err;
    assert_int_equal(migrate(10000, &applied, &err), 0);
    (void)sql("INSERT INTO runwave_migrations (version, name) VALUES (9999, 'future')");
    assert_int_equal(migrate(10000, &applied, &err), -1);
    assert_int_equal(err.code, RW_ERR_CONFIG);
    assert_non_null(strstr(err.message, "9999"));
}

static void another_history_is_refused(void **state)
{
    (void)state;
    unsigned applied = 0;
    struct rw_error err;
    (void)sql("CREATE TABLE runwave_migrations (version integer PRIMARY KEY, name text NOT NULL, "
              "applied_at timestamptz NOT NULL DEFAULT now()); INSERT INTO runwave_migrations VALUES (1, 'something_else')");
    assert_int_equal(migrate(10000, &applied, &err), -1);
    assert_int_equal(err.code, RW_ERR_CONFIG);
    assert_non_null(strstr(err.message, "something_else"));
}

static void a_failing_migration_leaves_nothing(void **state)
{
    (void)state;
    unsigned applied = 0;
    struct rw_error err;
    (void)sql("CREATE TABLE results (stands int)"); /* in the way of the second table of the first migration */
    assert_int_equal(migrate(10000, &applied, &err), -1);
    assert_int_equal(err.code, RW_ERR_INTERNAL);
    assert_non_null(strstr(err.message, "0001_tasks"));
    assert_int_equal(sql("SELECT count(*) FROM runwave_migrations"), 0);
    assert_int_equal(sql("SELECT count(*) FROM pg_tables WHERE tablename = 'tasks' AND schemaname = 'public'"), 0);
    (void)sql("DROP TABLE results");
    assert_int_equal(migrate(10000, &applied, &err), 0);
}

static void a_migration_that_cannot_be_recorded_leaves_nothing(void **state)
{
    (void)state;
    unsigned applied = 0;
    struct rw_error err;
    (void)sql("CREATE TABLE runwave_migrations (version integer PRIMARY KEY, name text NOT NULL CHECK (name <> 'tasks'), "
              "applied_at timestamptz NOT NULL DEFAULT now())");
    assert_int_equal(migrate(10000, &applied, &err), -1);
    assert_int_equal(err.code, RW_ERR_INTERNAL);
    assert_int_equal(sql("SELECT count(*) FROM pg_tables WHERE tablename = 'tasks' AND schemaname = 'public'"), 0);
}

static void an_absent_server_is_waited_for_as_long_as_told(void **state)
{
    (void)state;
    struct rw_config_database config = migrate_config();
    config.port = 1;
    unsigned applied = 0;
    struct rw_error err;
    int64_t begin_ms = rw_monotonic_ms();
    assert_int_equal(rw_pg_migrate(&config, database_password(), 1500, &applied, &err), -1);
    assert_int_equal(err.code, RW_ERR_UNAVAILABLE);
    assert_true(rw_monotonic_ms() - begin_ms < 1600);
    assert_true(rw_monotonic_ms() - begin_ms > 200); /* it did try again */
}

static void *hold_lock(void *arg)
{
    (void)sql("SELECT pg_advisory_lock(8246723451902837); SELECT pg_sleep(1.5)");
    return arg;
}

static void the_lock_is_waited_for_as_long_as_told(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_lock, NULL), 0);
    while (sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == 0) {
        pause_ms(10);
    }
    unsigned applied = 0;
    struct rw_error err;
    assert_int_equal(migrate(300, &applied, &err), -1);
    assert_int_equal(err.code, RW_ERR_TIMEOUT);
    assert_int_equal(migrate(10000, &applied, &err), 0);
    assert_true(applied >= 1);
    (void)pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_database_gets_all_and_then_none, setup),
        cmocka_unit_test_setup(programs_starting_together_take_turns, setup),
        cmocka_unit_test_setup(a_newer_database_is_refused, setup),
        cmocka_unit_test_setup(another_history_is_refused, setup),
        cmocka_unit_test_setup(a_failing_migration_leaves_nothing, setup),
        cmocka_unit_test_setup(a_migration_that_cannot_be_recorded_leaves_nothing, setup),
        cmocka_unit_test_setup(an_absent_server_is_waited_for_as_long_as_told, setup),
        cmocka_unit_test_setup(the_lock_is_waited_for_as_long_as_told, setup),
    };
    return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}
