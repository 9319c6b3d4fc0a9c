/* The PostgreSQL pool against a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <rw/clock.h>
#include <rw/pg.h>

#include "support.h"

enum { TYPES, INSERT, DEFERRED, DIVIDE, SLEEP, COUNT, TERMINATE, BIG, N_STATEMENTS };

static const struct rw_pg_statement statements[N_STATEMENTS] = {
    [TYPES] = {"echo",
               "SELECT $1::int4, $2::int8, $3::bool, $4::uuid, $5::timestamptz, $6::text, $7::bytea, $8::text, "
               "cardinality($9::uuid[]), ($9::uuid[])[2]",
               9},
    [INSERT] = {"insert", "INSERT INTO services_items (n, note) VALUES ($1, $2)", 2},
    [DEFERRED] = {"deferred", "INSERT INTO services_deferred (n) VALUES ($1)", 1},
    [DIVIDE] = {"divide", "SELECT 1 / $1::int4", 1},
    [SLEEP] = {"sleep", "SELECT pg_sleep($1::int4 / 1000.0)", 1},
    [COUNT] = {"count", "SELECT count(*) FROM services_items", 0},
    [TERMINATE] = {"terminate", "SELECT pg_terminate_backend(pg_backend_pid())", 0},
    [BIG] = {"big", "SELECT repeat('x', $1::int4)", 1},
};

struct fixture {
    uv_loop_t loop;
    struct rw_config_database config;
    struct rw_metrics *metrics;
    struct rw_pg *pg;
    unsigned n_answers;
    unsigned n_ups;
    unsigned n_downs;
};

struct answer {
    struct fixture *fixture;
    unsigned n_calls;
    enum rw_err code;
    int64_t value;
    char message[RW_ERROR_MESSAGE_BYTES];
};

static void on_answer(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct answer *answer = arg;
    assert_true((result != NULL) != (err != NULL));
    answer->n_calls++;
    answer->code = err ? err->code : RW_OK;
    (void)snprintf(answer->message, sizeof(answer->message), "%s", err ? err->message : "");
    if (result && PQntuples(result) == 1 && PQgetlength(result, 0, 0) <= 8 && PQgetlength(result, 0, 0) > 0) {
        answer->value = rw_pg_int8(result, 0, 0);
    }
    answer->fixture->n_answers++;
}

static void on_state(void *arg, bool is_connected)
{
    struct fixture *fixture = arg;
    *(is_connected ? &fixture->n_ups : &fixture->n_downs) += 1;
}

static void sql(const char *text)
{
    struct rw_config_database config = database_config();
    char port[16];
    (void)snprintf(port, sizeof(port), "%u", config.port);
    const char *keys[] = {"host", "port", "dbname", "user", "password", NULL};
    const char *values[] = {config.host, port, config.name, config.user, database_password(), NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 0);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    PGresult *result = PQexec(conn, text);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", text, PQerrorMessage(conn));
    }
    PQclear(result);
    PQfinish(conn);
}

static void open_pool(struct fixture *fixture, size_t queue_max)
{
    const struct rw_pg_options options = {
        .config = &fixture->config,
        .password = database_password(),
        .application_name = "test_pg",
        .statements = statements,
        .n_statements = N_STATEMENTS,
        .queue_max = queue_max,
        .metrics = fixture->metrics,
        .on_state = on_state,
        .arg = fixture,
    };
    struct rw_error err;
    assert_int_equal(rw_pg_open(&fixture->loop, &options, &fixture->pg, &err), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->config = database_config();
    fixture->metrics = rw_metrics_new();
    sql("DROP TABLE IF EXISTS services_items, services_deferred;"
        "CREATE TABLE services_items (n bigint PRIMARY KEY, note text);"
        "CREATE TABLE services_deferred (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    rw_pg_close(fixture->pg);
    bool is_finished = finish_loop(&fixture->loop);
    rw_metrics_free(fixture->metrics);
    free(fixture);
    return is_finished ? 0 : -1;
}

static void exec_int4(struct fixture *fixture, size_t statement, int32_t value, uint32_t timeout_ms, struct answer *answer)
{
    struct rw_pg_params params = {.count = 0};
    rw_pg_param_int4(&params, value);
    *answer = (struct answer){.fixture = fixture};
    rw_pg_exec(fixture->pg, statement, &params, timeout_ms, on_answer, answer);
}

static void exec_insert(struct fixture *fixture, int64_t n, const char *note, struct answer *answer)
{
    struct rw_pg_params params = {.count = 0};
    rw_pg_param_int8(&params, n);
    rw_pg_param_text(&params, note);
    *answer = (struct answer){.fixture = fixture};
    rw_pg_exec(fixture->pg, INSERT, &params, patience_ms(), on_answer, answer);
}

static int64_t count_items(struct fixture *fixture)
{
    struct answer answer = {.fixture = fixture};
    unsigned before = fixture->n_answers;
    rw_pg_exec(fixture->pg, COUNT, NULL, patience_ms(), on_answer, &answer);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, before + 1));
    assert_int_equal(answer.code, RW_OK);
    return answer.value;
}

/* ---- values ---- */

struct echoed {
    unsigned n_calls;
    struct rw_uuid uuid;
};

static void on_echo(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct echoed *echoed = arg;
    assert_null(err);
    assert_int_equal(rw_pg_rows(result), 1);
    assert_int_equal(rw_pg_int4(result, 0, 0), -2147483647);
    assert_true(rw_pg_int8(result, 0, 1) == INT64_MAX);
    assert_true(rw_pg_bool(result, 0, 2));
    struct rw_uuid uuid = rw_pg_uuid(result, 0, 3);
    assert_memory_equal(uuid.bytes, echoed->uuid.bytes, sizeof(uuid.bytes));
    assert_true(rw_pg_timestamp_us(result, 0, 4) == 1700000000123456);
    assert_string_equal(rw_pg_text(result, 0, 5), "naïve");
    struct rw_bytes bytes = rw_pg_bytes(result, 0, 6);
    assert_int_equal(bytes.len, 5);
    assert_memory_equal(bytes.data, "a\0b\0\xff", 5);
    assert_true(rw_pg_is_null(result, 0, 7));
    assert_null(rw_pg_text(result, 0, 7));
    assert_int_equal(rw_pg_int4(result, 0, 8), 2);
    uuid = rw_pg_uuid(result, 0, 9);
    assert_memory_equal(uuid.bytes, echoed->uuid.bytes, sizeof(uuid.bytes));
    echoed->n_calls++;
}

static void values_come_back_as_they_went(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 10);
    struct echoed echoed = {.uuid = rw_uuid_v7()};
    const struct rw_uuid ids[] = {rw_uuid_v7(), echoed.uuid};
    RW_AUTO_BUFFER struct rw_buffer buffer;
    rw_buffer_init(&buffer, 1000);
    struct rw_pg_params params = {.count = 0};
    rw_pg_param_int4(&params, -2147483647);
    rw_pg_param_int8(&params, INT64_MAX);
    rw_pg_param_bool(&params, true);
    rw_pg_param_uuid(&params, &echoed.uuid);
    rw_pg_param_timestamp(&params, 1700000000123456);
    rw_pg_param_text(&params, "naïve");
    rw_pg_param_bytes(&params, rw_bytes_of("a\0b\0\xff", 5));
    rw_pg_param_null(&params);
    assert_int_equal(rw_pg_param_uuid_array(&params, ids, 2, &buffer, NULL), 0);
    /* Once through the queue (not connected yet: the parameters are copied), once directly. */
    rw_pg_exec(fixture->pg, TYPES, &params, patience_ms(), on_echo, &echoed);
    assert_true(run_until(&fixture->loop, &echoed.n_calls, 1));
    rw_pg_exec(fixture->pg, TYPES, &params, patience_ms(), on_echo, &echoed);
    assert_true(run_until(&fixture->loop, &echoed.n_calls, 2));
}

/* ---- failures ---- */

static void one_failure_fails_alone(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 1000);
    enum { N = 300 };
    struct answer *answers = calloc(N, sizeof(*answers));
    for (int i = 0; i < N; i++) {
        exec_int4(fixture, DIVIDE, i % 3, patience_ms(), &answers[i]);
    }
    assert_true(run_until(&fixture->loop, &fixture->n_answers, N));
    for (int i = 0; i < N; i++) {
        assert_int_equal(answers[i].n_calls, 1);
        assert_int_equal(answers[i].code, i % 3 == 0 ? RW_ERR_INTERNAL : RW_OK);
        assert_int_equal(answers[i].value, i % 3 == 1 ? 1 : 0);
    }
    assert_non_null(strstr(answers[0].message, "division by zero"));
    assert_non_null(strstr(answers[0].message, "22012"));
    assert_int_equal(fixture->n_downs, 0);
    free(answers);
}

static void a_unique_violation_is_a_conflict(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 10);
    struct answer first;
    struct answer second;
    exec_insert(fixture, 1, "a", &first);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 1));
    exec_insert(fixture, 1, "b", &second);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 2));
    assert_int_equal(first.code, RW_OK);
    assert_int_equal(second.code, RW_ERR_CONFLICT);
}

static void a_failing_commit_is_no_success(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 10);
    struct answer answers[3];
    for (int i = 0; i < 3; i++) {
        exec_int4(fixture, DEFERRED, i / 2, patience_ms(), &answers[i]);
    }
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 3));
    unsigned n_conflicts = 0;
    for (int i = 0; i < 3; i++) {
        n_conflicts += answers[i].code == RW_ERR_CONFLICT;
    }
    assert_int_equal(n_conflicts, 1); /* the second 0 fails at its commit, after the INSERT itself went well */
    assert_int_equal(answers[2].code, RW_OK);
}

static void the_statement_timeout_is_passing(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.statement_timeout_ms = 200;
    open_pool(fixture, 10);
    struct answer answer;
    exec_int4(fixture, SLEEP, 10000, patience_ms(), &answer);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 1));
    assert_int_equal(answer.code, RW_ERR_UNAVAILABLE);
    assert_non_null(strstr(answer.message, "57014"));
    assert_int_equal(fixture->n_downs, 0); /* the connection stays */
}

static void a_wrong_number_of_parameters_is_told(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 10);
    struct answer answer = {.fixture = fixture};
    rw_pg_exec(fixture->pg, INSERT, NULL, patience_ms(), on_answer, &answer);
    assert_int_equal(answer.n_calls, 0); /* never from inside */
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 1));
    assert_int_equal(answer.code, RW_ERR_INTERNAL);
}

/* ---- queue and deadlines ---- */

static void a_full_queue_overloads(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 2);
    struct answer answers[4];
    for (int i = 0; i < 4; i++) {
        exec_int4(fixture, DIVIDE, 1, patience_ms(), &answers[i]);
        assert_int_equal(answers[i].n_calls, 0);
    }
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 4));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(answers[i].code, i < 2 ? RW_OK : RW_ERR_OVERLOADED);
    }
}

static void what_is_never_sent_times_out(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.port = 1; /* nobody listens */
    open_pool(fixture, 10);
    struct answer slow;
    struct answer quick;
    int64_t begin_ms = rw_monotonic_ms();
    exec_int4(fixture, DIVIDE, 1, 400, &slow);
    exec_int4(fixture, DIVIDE, 1, 100, &quick);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 1));
    assert_int_equal(quick.code, RW_ERR_TIMEOUT);
    assert_true(rw_monotonic_ms() - begin_ms < 390);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 2));
    assert_int_equal(slow.code, RW_ERR_TIMEOUT);
    assert_true(rw_monotonic_ms() - begin_ms >= 399);
    assert_false(rw_pg_is_connected(fixture->pg));
    assert_non_null(strstr(rw_pg_last_error(fixture->pg), "refused"));
}

static void what_is_not_answered_takes_its_connection_down(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 1;
    open_pool(fixture, 10);
    struct answer stuck;
    struct answer behind;
    struct answer after;
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 1));
    exec_int4(fixture, SLEEP, 4000, 300, &stuck);
    exec_int4(fixture, DIVIDE, 1, 60000, &behind);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 2));
    assert_int_equal(stuck.code, RW_ERR_UNAVAILABLE);
    assert_int_equal(behind.code, RW_ERR_UNAVAILABLE);
    assert_int_equal(fixture->n_downs, 1);
    exec_int4(fixture, DIVIDE, 1, patience_ms(), &after);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 3));
    assert_int_equal(after.code, RW_OK);
    assert_int_equal(fixture->n_ups, 2);
}

static void load_is_spread(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 10);
    run_for(&fixture->loop, 500); /* all three connections */
    struct answer sleeping[2];
    struct answer quick[20];
    exec_int4(fixture, SLEEP, 3000, patience_ms(), &sleeping[0]);
    exec_int4(fixture, SLEEP, 3000, patience_ms(), &sleeping[1]);
    int64_t begin_ms = rw_monotonic_ms();
    exec_int4(fixture, DIVIDE, 1, patience_ms(), &quick[0]);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 1));
    assert_int_equal(quick[0].n_calls, 1); /* not stuck behind a sleeper */
    assert_true(rw_monotonic_ms() - begin_ms < 2000);
}

/* ---- breaking ---- */

static void a_lost_connection_comes_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 1;
    open_pool(fixture, 100);
    struct answer before;
    struct answer terminated = {.fixture = fixture};
    struct answer behind;
    exec_int4(fixture, DIVIDE, 1, patience_ms(), &before);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 1));
    rw_pg_exec(fixture->pg, TERMINATE, NULL, patience_ms(), on_answer, &terminated);
    exec_int4(fixture, DIVIDE, 1, patience_ms(), &behind);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 3));
    assert_int_equal(terminated.code, RW_ERR_UNAVAILABLE);
    assert_int_equal(behind.code, RW_ERR_UNAVAILABLE);
    assert_int_equal(fixture->n_downs, 1);
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 2));
    assert_int_equal(count_items(fixture), 0);
}

static void an_idle_connection_notices_its_end(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 100);
    run_for(&fixture->loop, 500);
    assert_true(rw_pg_is_connected(fixture->pg));
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test_pg'");
    assert_true(run_until(&fixture->loop, &fixture->n_downs, 1));
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 2));
}

static void a_statement_that_cannot_be_prepared_is_named(void **state)
{
    struct fixture *fixture = *state;
    sql("DROP TABLE services_items");
    open_pool(fixture, 100);
    run_for(&fixture->loop, 500);
    assert_false(rw_pg_is_connected(fixture->pg));
    assert_non_null(strstr(rw_pg_last_error(fixture->pg), "services_items"));
    sql("CREATE TABLE services_items (n bigint PRIMARY KEY, note text)"); /* a migration came */
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 1));
}

static void a_wrong_password_is_told_without_it(void **state)
{
    struct fixture *fixture = *state;
    const struct rw_pg_options options = {.config = &fixture->config,
                                          .password = "hunter2-hunter2",
                                          .application_name = "test_pg",
                                          .statements = statements,
                                          .n_statements = N_STATEMENTS,
                                          .queue_max = 1,
                                          .metrics = fixture->metrics};
    assert_int_equal(rw_pg_open(&fixture->loop, &options, &fixture->pg, NULL), 0);
    run_for(&fixture->loop, 500);
    assert_false(rw_pg_is_connected(fixture->pg));
    assert_non_null(strstr(rw_pg_last_error(fixture->pg), "password authentication failed"));
    assert_null(strstr(rw_pg_last_error(fixture->pg), "hunter2"));
}

/* ---- closing, and callbacks that call back ---- */

static void close_answers_everything(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 1000);
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 1));
    struct answer answers[300];
    for (int i = 0; i < 300; i++) {
        exec_int4(fixture, SLEEP, 50, patience_ms(), &answers[i]);
    }
    rw_pg_close(fixture->pg);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(answers[i].n_calls, 1);
        assert_int_equal(answers[i].code, RW_ERR_CANCELLED);
    }
    struct answer late;
    exec_int4(fixture, SLEEP, 50, patience_ms(), &late);
    assert_int_equal(late.code, RW_ERR_CANCELLED);
    assert_int_equal(late.n_calls, 1);
    fixture->pg = NULL;
}

struct closer {
    struct fixture *fixture;
    struct answer *others;
};

static void close_pool(void *arg, const PGresult *result, const struct rw_error *err)
{
    (void)result;
    struct closer *closer = arg;
    assert_true(!err || err->code == RW_ERR_UNAVAILABLE);
    rw_pg_close(closer->fixture->pg);
    closer->fixture->pg = NULL;
    closer->fixture->n_answers++;
}

/* n_lost_max: how many behind it may have been sent, and fail together with the statement, before its callback closes the pool. How many
 * were sent by then is a matter of time; that those are the first ones is not. */
static void close_from(struct fixture *fixture, size_t statement, int n_lost_max)
{
    enum { N = 50 };
    fixture->config.connections = 1;
    open_pool(fixture, 1000);
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 1));
    struct closer closer = {.fixture = fixture};
    struct answer answers[N];
    rw_pg_exec(fixture->pg, statement, NULL, patience_ms(), close_pool, &closer);
    for (int i = 0; i < N; i++) {
        exec_int4(fixture, DIVIDE, 1, patience_ms(), &answers[i]);
    }
    assert_true(run_until(&fixture->loop, &fixture->n_answers, N + 1));
    int n_lost = 0;
    while (n_lost < n_lost_max && answers[n_lost].code == RW_ERR_UNAVAILABLE) {
        n_lost++;
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(answers[i].n_calls, 1);
        assert_int_equal(answers[i].code, i < n_lost ? RW_ERR_UNAVAILABLE : RW_ERR_CANCELLED);
    }
}

static void an_answer_may_close_the_pool(void **state)
{
    close_from(*state, COUNT, 0);
}

static void a_failure_may_close_the_pool(void **state)
{
    close_from(*state, TERMINATE, 31); /* the pipeline of one connection holds 32 */
}

struct chain {
    struct fixture *fixture;
    unsigned n_left;
    unsigned n_calls;
};

static void next_of_chain(void *arg, const PGresult *result, const struct rw_error *err)
{
    (void)result;
    struct chain *chain = arg;
    assert_null(err);
    chain->n_calls++;
    if (--chain->n_left > 0) {
        rw_pg_exec(chain->fixture->pg, COUNT, NULL, patience_ms(), next_of_chain, chain);
    }
}

static void an_answer_may_ask_again(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 10);
    struct chain chains[5];
    for (int i = 0; i < 5; i++) {
        chains[i] = (struct chain){.fixture = fixture, .n_left = 200};
        rw_pg_exec(fixture->pg, COUNT, NULL, patience_ms(), next_of_chain, &chains[i]);
    }
    for (int i = 0; i < 5; i++) {
        assert_true(run_until(&fixture->loop, &chains[i].n_calls, 200));
    }
}

static void big_values_pass(void **state)
{
    struct fixture *fixture = *state;
    enum { N = 40, BYTES = 1024 * 1024 };
    fixture->config.connections = 1;
    open_pool(fixture, 1000);
    char *note = calloc(1, BYTES + 1);
    memset(note, 'y', BYTES);
    struct answer answers[N];
    struct answer reads[N];
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 1));
    for (int i = 0; i < N; i++) { /* more than sockets hold in both directions: writing and reading must go side by side */
        exec_insert(fixture, i, note, &answers[i]);
        exec_int4(fixture, BIG, BYTES, patience_ms(), &reads[i]);
    }
    free(note);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 2 * N));
    for (int i = 0; i < N; i++) {
        assert_int_equal(answers[i].code, RW_OK);
        assert_int_equal(reads[i].code, RW_OK);
    }
    assert_int_equal(count_items(fixture), N);
}

static void a_statement_larger_than_the_socket_goes_out(void **state)
{
    struct fixture *fixture = *state;
    enum { BYTES = 24 * 1024 * 1024 };
    fixture->config.connections = 1;
    open_pool(fixture, 10);
    assert_true(run_until(&fixture->loop, &fixture->n_ups, 1));
    char *note = rw_xmalloc(BYTES + 1);
    memset(note, 'z', BYTES);
    note[BYTES] = '\0';
    struct answer answer;
    exec_insert(fixture, 1, note, &answer); /* nothing comes back that would wake the pool before all of it is sent */
    free(note);
    assert_true(run_until(&fixture->loop, &fixture->n_answers, 1));
    assert_int_equal(answer.code, RW_OK);
}

static void an_idle_pool_answers_at_once(void **state)
{
    struct fixture *fixture = *state;
    open_pool(fixture, 10);
    assert_int_equal(count_items(fixture), 0);
    enum { N = 200 };
    int64_t begin_us = rw_monotonic_us();
    for (int i = 0; i < N; i++) {
        assert_int_equal(count_items(fixture), 0);
    }
    int64_t each_us = (rw_monotonic_us() - begin_us) / N;
    print_message("one statement after the other: %lld us each\n", (long long)each_us);
    assert_true(each_us < patience_ms() / 2); /* 10 ms: far more than it takes, far less than any timer in the pool */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_come_back_as_they_went, setup, teardown),
        cmocka_unit_test_setup_teardown(one_failure_fails_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_unique_violation_is_a_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_commit_is_no_success, setup, teardown),
        cmocka_unit_test_setup_teardown(the_statement_timeout_is_passing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_number_of_parameters_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_overloads, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_never_sent_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_answered_takes_its_connection_down, setup, teardown),
        cmocka_unit_test_setup_teardown(load_is_spread, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_connection_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_connection_notices_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_statement_that_cannot_be_prepared_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_password_is_told_without_it, setup, teardown),
        cmocka_unit_test_setup_teardown(close_answers_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_may_close_the_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_may_close_the_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_may_ask_again, setup, teardown),
        cmocka_unit_test_setup_teardown(big_values_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(a_statement_larger_than_the_socket_goes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_pool_answers_at_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("pg", tests, NULL, NULL);
}
