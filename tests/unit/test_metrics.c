/* Metrics: values, the text that Prometheus reads, and updates from several threads. */
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <sys/wait.h>

#include <rw/metrics.h>

static char *write_all(struct rw_metrics *metrics)
{
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 65536);
    assert_ok(rw_metrics_write(metrics, &out, &err), &err);
    assert_ok(rw_buffer_append(&out, "", 1, &err), &err);
    return (char *)rw_take(out.data);
}

static void test_the_text(void **state)
{
    (void)state;
    static const double bounds[] = {0.005, 1, 2.5};
    RW_AUTO(rw_metrics_free) struct rw_metrics *metrics = rw_metrics_new();
    struct rw_counter *ok = rw_metrics_counter(metrics, "runwave_tasks_total", "outcome=\"ok\"", "Tasks by outcome.");
    struct rw_gauge *pods = rw_metrics_gauge(metrics, "runwave_pods", NULL, "Pods that are warm.");
    struct rw_histogram *plain = rw_metrics_histogram(metrics, "runwave_wait_seconds", NULL, "Waiting.", bounds, 3);
    struct rw_counter *dead = rw_metrics_counter(metrics, "runwave_tasks_total", "outcome=\"dead\"", "Help that does not count.");
    struct rw_histogram *labelled = rw_metrics_histogram(metrics, "runwave_run_seconds", "language=\"c\"", "Running.", bounds, 1);
    rw_counter_add(ok, 3);
    rw_counter_add(ok, UINT32_MAX);
    rw_gauge_set(pods, -7);
    rw_gauge_add(pods, 2);
    rw_histogram_observe(plain, 0.005); /* on the bound is inside */
    rw_histogram_observe(plain, 2);
    rw_histogram_observe(plain, 100);
    rw_histogram_observe(plain, NAN);
    rw_histogram_observe(labelled, 0.25);
    assert_int_equal(rw_counter_value(ok), 3ULL + UINT32_MAX);
    assert_int_equal(rw_counter_value(dead), 0);
    assert_int_equal(rw_gauge_value(pods), -5);
    RW_AUTO_FREE char *text = write_all(metrics);
    assert_string_equal(text, "# HELP runwave_tasks_total Tasks by outcome.\n"
                              "# TYPE runwave_tasks_total counter\n"
                              "runwave_tasks_total{outcome=\"ok\"} 4294967298\n"
                              "runwave_tasks_total{outcome=\"dead\"} 0\n"
                              "# HELP runwave_pods Pods that are warm.\n"
                              "# TYPE runwave_pods gauge\n"
                              "runwave_pods -5\n"
                              "# HELP runwave_wait_seconds Waiting.\n"
                              "# TYPE runwave_wait_seconds histogram\n"
                              "runwave_wait_seconds_bucket{le=\"0.005\"} 1\n"
                              "runwave_wait_seconds_bucket{le=\"1\"} 1\n"
                              "runwave_wait_seconds_bucket{le=\"2.5\"} 2\n"
                              "runwave_wait_seconds_bucket{le=\"+Inf\"} 3\n"
                              "runwave_wait_seconds_sum 102.005\n"
                              "runwave_wait_seconds_count 3\n"
                              "# HELP runwave_run_seconds Running.\n"
                              "# TYPE runwave_run_seconds histogram\n"
                              "runwave_run_seconds_bucket{language=\"c\",le=\"0.005\"} 0\n"
                              "runwave_run_seconds_bucket{language=\"c\",le=\"+Inf\"} 1\n"
                              "runwave_run_seconds_sum{language=\"c\"} 0.25\n"
                              "runwave_run_seconds_count{language=\"c\"} 1\n");
}

static void test_a_small_buffer_is_an_error(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(rw_metrics_free) struct rw_metrics *metrics = rw_metrics_new();
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 20);
    assert_ok(rw_metrics_write(metrics, &out, &err), &err);
    assert_int_equal(out.len, 0);
    (void)rw_metrics_counter(metrics, "runwave_x_total", NULL, "X.");
    assert_fails(rw_metrics_write(metrics, &out, &err), &err, TOO_LARGE, "20");
    rw_metrics_free(NULL);
}

static void test_the_bounds_of_durations_ascend(void **state)
{
    (void)state;
    RW_AUTO(rw_metrics_free) struct rw_metrics *metrics = rw_metrics_new();
    assert_non_null(rw_metrics_histogram(metrics, "a_seconds", NULL, "A.", rw_metrics_seconds_bounds, rw_metrics_n_seconds_bounds));
    assert_true(rw_metrics_n_seconds_bounds >= 10);
}

enum misuse { TWICE, TWO_KINDS, BAD_NAME, DESCENDING, N_MISUSES };

static void misuse(enum misuse kind)
{
    static const double bounds[] = {2, 1};
    struct rw_metrics *metrics = rw_metrics_new();
    (void)rw_metrics_counter(metrics, "a", "x=\"1\"", "A.");
    (void)rw_metrics_counter(metrics, "a", "x=\"2\"", "A.");
    switch (kind) {
    case TWICE:
        (void)rw_metrics_counter(metrics, "a", "x=\"1\"", "A.");
        break;
    case TWO_KINDS:
        (void)rw_metrics_gauge(metrics, "a", NULL, "A.");
        break;
    case BAD_NAME:
        (void)rw_metrics_gauge(metrics, "a b", NULL, "A.");
        break;
    case DESCENDING:
        (void)rw_metrics_histogram(metrics, "b", NULL, "B.", bounds, 2);
        break;
    case N_MISUSES:
        break;
    }
}

/* A registration that makes no sense ends the program at start; in a child, to see it. */
static void test_misuse_ends_the_program(void **state)
{
    (void)state;
    for (int kind = TWICE; kind <= N_MISUSES; kind++) {
        (void)fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)!freopen("/dev/null", "w", stderr);
            misuse((enum misuse)kind);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WIFSIGNALED(status) != 0, kind != N_MISUSES);
    }
}

struct shared {
    struct rw_counter *counter;
    struct rw_gauge *gauge;
    struct rw_histogram *histogram;
};

enum { ROUNDS = 20000 };

static void *update(void *context)
{
    const struct shared *shared = context;
    for (size_t i = 0; i < ROUNDS; i++) {
        rw_counter_add(shared->counter, 1);
        rw_gauge_add(shared->gauge, i % 2 ? 1 : -1);
        rw_histogram_observe(shared->histogram, 0.5);
    }
    return NULL;
}

static void test_no_update_is_lost(void **state)
{
    (void)state;
    static const double bounds[] = {1};
    RW_AUTO(rw_metrics_free) struct rw_metrics *metrics = rw_metrics_new();
    struct shared shared = {rw_metrics_counter(metrics, "c", NULL, "C."), rw_metrics_gauge(metrics, "g", NULL, "G."),
                            rw_metrics_histogram(metrics, "h", NULL, "H.", bounds, 1)};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, update, &shared), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    RW_AUTO_FREE char *text = write_all(metrics);
    assert_int_equal(rw_counter_value(shared.counter), 4 * ROUNDS);
    assert_int_equal(rw_gauge_value(shared.gauge), 0);
    assert_non_null(strstr(text, "h_count 80000\n"));
    assert_non_null(strstr(text, "h_sum 40000\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text),
        cmocka_unit_test(test_a_small_buffer_is_an_error),
        cmocka_unit_test(test_the_bounds_of_durations_ascend),
        cmocka_unit_test(test_misuse_ends_the_program),
        cmocka_unit_test(test_no_update_is_lost),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
