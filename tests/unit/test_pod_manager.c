/* The manager on a real loop, over a backend that makes pods of nothing and misbehaves on request. */
#include "support.h"

#include <utlist.h>

#include <rw/clock.h>

#include "manager.h"

/* ---- a backend of nothing ---- */

struct fake_pod {
    struct fake_pod *prev, *next;
    char name[BACKEND_NAME_BYTES];
    bool was_ready;
    bool is_doomed;
};

struct fake {
    struct backend_events events;
    uv_timer_t timer; /* events come from the loop, a millisecond later */
    struct fake_pod *pods;
    bool refuses; /* create fails */
    bool stalls;  /* pods never become ready */
    bool is_usable;
    bool is_told;
    unsigned n_creates;
    unsigned n_destroys;
    unsigned n_killed; /* destroyed at once */
};

static struct fake fake; /* the table has no place for a test's own argument */

static int fake_prepare(struct manager_config *config, struct rw_error *err)
{
    (void)config;
    (void)err;
    return 0;
}

static void remove_pod(struct fake_pod *pod, enum backend_reason reason)
{
    char name[BACKEND_NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%s", pod->name);
    DL_DELETE(fake.pods, pod);
    free(pod);
    fake.events.gone(fake.events.arg, name, reason, "by the test");
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
    static const uint8_t secret[RW_POD_SECRET_BYTES] = {1, 2, 3};
    struct fake_pod *pod = NULL;
    struct fake_pod *next = NULL;
    if (!fake.is_told) {
        fake.is_told = true;
        fake.events.usable(fake.events.arg, fake.is_usable, fake.is_usable ? NULL : "not today");
    }
    DL_FOREACH_SAFE(fake.pods, pod, next)
    {
        if (pod->is_doomed) {
            remove_pod(pod, BACKEND_DESTROYED);
        } else if (!pod->was_ready && !fake.stalls) {
            struct backend_ready info = {.address = "unix:/nowhere", .secret = secret};
            pod->was_ready = true;
            fake.events.ready(fake.events.arg, pod->name, &info);
        }
    }
}

static int fake_open(const struct backend_options *options, struct backend **ret_backend, struct rw_error *err)
{
    (void)err;
    fake.events = options->events;
    (void)uv_timer_init(options->loop, &fake.timer);
    (void)uv_timer_start(&fake.timer, on_timer, 1, 1);
    *ret_backend = (struct backend *)&fake;
    return 0;
}

static int fake_create(struct backend *backend, const char *name, const struct backend_wish *wish, struct rw_error *err)
{
    (void)backend;
    assert_string_equal(wish->language, "python");
    fake.n_creates++;
    if (fake.refuses) {
        return rw_fail(err, UNAVAILABLE, "no more of them");
    }
    struct fake_pod *pod = rw_xcalloc(1, sizeof(*pod));
    (void)snprintf(pod->name, sizeof(pod->name), "%s", name);
    DL_APPEND(fake.pods, pod);
    return 0;
}

static void fake_destroy(struct backend *backend, const char *name, enum backend_manner manner)
{
    (void)backend;
    struct fake_pod *pod = NULL;
    DL_FOREACH(fake.pods, pod)
    {
        if (strcmp(pod->name, name) == 0) {
            pod->is_doomed = true;
            fake.n_destroys++;
            fake.n_killed += manner == BACKEND_AT_ONCE;
        }
    }
}

static void fake_list(struct backend *backend, void (*each)(void *arg, const struct backend_listed *pod), void *arg)
{
    (void)backend;
    (void)each;
    (void)arg;
}

static void fake_tick(struct backend *backend, int64_t now_ms)
{
    (void)backend;
    (void)now_ms;
}

static void fake_close(struct backend *backend)
{
    (void)backend;
    struct fake_pod *pod = NULL;
    struct fake_pod *next = NULL;
    DL_FOREACH_SAFE(fake.pods, pod, next)
    {
        DL_DELETE(fake.pods, pod);
        free(pod);
    }
    uv_close((uv_handle_t *)&fake.timer, NULL);
}

static const struct backend_class fake_class = {
    .name = "fake",
    .has_sandbox_pods = true,
    .prepare = fake_prepare,
    .open = fake_open,
    .create = fake_create,
    .destroy = fake_destroy,
    .list = fake_list,
    .tick = fake_tick,
    .close = fake_close,
};

/* ---- a manager over it ---- */

struct bench {
    uv_loop_t loop;
    struct manager_config config;
    struct rw_catalogue *catalogue;
    struct rw_metrics *metrics;
    struct rw_health *health;
    struct manager *manager;
    bool is_drained;
};

static void on_drained(void *arg)
{
    struct bench *bench = arg;
    assert_false(bench->is_drained);
    bench->is_drained = true;
}

static void open_bench(struct bench *bench)
{
    struct rw_error err = {0};
    *bench = (struct bench){.config = {.pods_max = 10,
                                       .waiting_max = 100,
                                       .lease_start_ms = 60000,
                                       .isolation = {.is_offered = {[RW_ISOLATION_POD] = true}, .slots = 4, .uses = 100},
                                       .ready_timeout_ms = 300,
                                       .drain_ms = 300,
                                       .scaling = {.rate_window_ms = 10000, .shrink_delay_ms = 30000, .shrink_step_ms = 5000}}};
    (void)uv_loop_init(&bench->loop);
    bench->metrics = rw_metrics_new();
    bench->health = rw_health_new();
    assert_ok(rw_catalogue_load(RUNWAVE_SOURCE_DIR "/tests/unit/pod_languages", &bench->catalogue, &err), &err);
    struct manager_options options = {.loop = &bench->loop,
                                      .config = &bench->config,
                                      .catalogue = bench->catalogue,
                                      .class = &fake_class,
                                      .metrics = bench->metrics,
                                      .health = bench->health,
                                      .drained = on_drained,
                                      .drained_arg = bench};
    assert_ok(manager_open(&options, &bench->manager, &err), &err);
}

static void reset_fake(void)
{
    fake = (struct fake){.is_usable = true};
}

static void close_bench(struct bench *bench)
{
    manager_close(bench->manager);
    (void)uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    manager_free(bench->manager);
    rw_catalogue_free(bench->catalogue);
    rw_metrics_free(bench->metrics);
    rw_health_free(bench->health);
}

static void stop_timer(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void run_for(struct bench *bench, uint32_t time_ms)
{
    uv_timer_t timer;
    bool is_over = false;
    (void)uv_timer_init(&bench->loop, &timer);
    timer.data = &is_over;
    (void)uv_timer_start(&timer, stop_timer, time_ms, 0);
    while (!is_over) {
        (void)uv_run(&bench->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&bench->loop, UV_RUN_NOWAIT);
}

struct wish {
    struct manager_request request;
    unsigned n_answers;
    unsigned order;
    bool has_left;
    enum rw_err refusal;
    struct rw_uuid lease_id;
    char pod[BACKEND_NAME_BYTES];
};

static unsigned order_of_answers;

static bool has_left(const struct manager_request *request)
{
    return ((const struct wish *)request)->has_left;
}

static void on_granted(struct manager_request *request, const struct manager_grant *grant)
{
    struct wish *wish = (struct wish *)request;
    wish->n_answers++;
    wish->order = ++order_of_answers;
    wish->lease_id = *grant->lease_id;
    (void)snprintf(wish->pod, sizeof(wish->pod), "%s", grant->pod);
    assert_string_equal(grant->address, "unix:/nowhere");
    assert_int_equal(grant->secret[2], 3);
}

static void on_refused(struct manager_request *request, const struct rw_error *err)
{
    struct wish *wish = (struct wish *)request;
    wish->n_answers++;
    wish->refusal = err->code;
}

static void want(struct bench *bench, struct wish *wish, uint32_t wait_ms, uint32_t deadline_ms)
{
    *wish = (struct wish){.request = {.wait_ms = wait_ms,
                                      .deadline_ms = deadline_ms,
                                      .has_left = has_left,
                                      .granted = on_granted,
                                      .refused = on_refused,
                                      .task_id = "t"}};
    manager_want_lease(bench->manager, &wish->request);
}

static void a_lease_from_start_to_end(void **state)
{
    (void)state;
    struct bench bench;
    struct wish wish;
    struct rw_error err = {0};
    reset_fake();
    open_bench(&bench);
    assert_false(rw_health_is_ready(bench.health)); /* not before the backend has said so */
    run_for(&bench, 50);
    assert_true(rw_health_is_ready(bench.health));
    assert_int_equal(fake.n_creates, 2);
    want(&bench, &wish, 0, 10000);
    assert_int_equal(wish.n_answers, 1); /* at once, before its replacement is made */
    assert_int_equal(wish.refusal, RW_OK);
    assert_int_equal(fake.n_creates, 2);
    run_for(&bench, 20);
    assert_int_equal(fake.n_creates, 3);
    assert_int_equal(fake.n_destroys, 0);
    assert_ok(manager_end_lease(bench.manager, &wish.lease_id, MANAGER_USED, &err), &err);
    assert_fails(manager_end_lease(bench.manager, &wish.lease_id, MANAGER_USED, &err), &err, NOT_FOUND, "lease");
    run_for(&bench, 20);
    assert_int_equal(fake.n_destroys, 1);
    assert_int_equal(fake.n_killed, 0);
    assert_int_equal(HASH_COUNT(bench.manager->pods), 2);
    close_bench(&bench);
}

static void waiting_is_in_order_and_bounded_in_time(void **state)
{
    (void)state;
    struct bench bench;
    struct wish wishes[6];
    reset_fake();
    fake.stalls = true;
    open_bench(&bench);
    for (size_t i = 0; i < RW_ARRAY_SIZE(wishes); i++) {
        want(&bench, &wishes[i], i == 2 ? 50 : 5000, 10000);
    }
    run_for(&bench, 200);
    assert_int_equal(wishes[2].refusal, RW_ERR_UNAVAILABLE);
    fake.stalls = false;
    run_for(&bench, 100); /* the language's max is 4 */
    unsigned last = 0;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(wishes[i].n_answers, 1);
        if (i != 2) {
            assert_true(wishes[i].order > last);
            last = wishes[i].order;
        }
    }
    assert_int_equal(wishes[5].n_answers, 0);
    struct rw_error err = {0};
    assert_ok(manager_end_lease(bench.manager, &wishes[0].lease_id, MANAGER_FAILED, &err), &err);
    run_for(&bench, 100);
    assert_int_equal(wishes[5].n_answers, 1);
    assert_int_equal(fake.n_killed, 1);
    close_bench(&bench);
}

static void clients_that_left_are_passed_over(void **state)
{
    (void)state;
    struct bench bench;
    struct wish wishes[6];
    reset_fake();
    fake.stalls = true;
    open_bench(&bench);
    for (size_t i = 0; i < RW_ARRAY_SIZE(wishes); i++) {
        want(&bench, &wishes[i], 5000, 10000);
    }
    for (size_t i = 0; i < 4; i++) {
        wishes[i].has_left = true;
    }
    fake.stalls = false;
    run_for(&bench, 100);
    for (size_t i = 0; i < RW_ARRAY_SIZE(wishes); i++) {
        assert_int_equal(wishes[i].n_answers, 1);
        assert_int_equal(wishes[i].refusal, i < 4 ? RW_ERR_CANCELLED : RW_OK);
    }
    assert_int_equal(HASH_COUNT(bench.manager->leases.by_id), 2);
    assert_int_equal(fake.n_destroys, 0); /* no pod was wasted on them */
    close_bench(&bench);
}

static void a_lease_past_its_deadline_loses_its_pod(void **state)
{
    (void)state;
    struct bench bench;
    struct wish wish;
    struct rw_error err = {0};
    reset_fake();
    open_bench(&bench);
    want(&bench, &wish, 1000, 100);
    run_for(&bench, 350);
    assert_int_equal(wish.n_answers, 1);
    assert_int_equal(fake.n_killed, 1);
    assert_fails(manager_end_lease(bench.manager, &wish.lease_id, MANAGER_USED, &err), &err, NOT_FOUND, "lease");
    close_bench(&bench);
}

static void a_lost_pod_is_replaced_and_its_lease_still_found_once(void **state)
{
    (void)state;
    struct bench bench;
    struct wish wish;
    struct rw_error err = {0};
    reset_fake();
    open_bench(&bench);
    want(&bench, &wish, 1000, 60000);
    run_for(&bench, 50);
    struct fake_pod *pod = NULL;
    DL_FOREACH(fake.pods, pod)
    {
        if (strcmp(pod->name, wish.pod) == 0) {
            remove_pod(pod, BACKEND_SIGNALLED);
            break;
        }
    }
    run_for(&bench, 20);
    assert_int_equal(HASH_COUNT(bench.manager->pods), 2);
    assert_ok(manager_end_lease(bench.manager, &wish.lease_id, MANAGER_FAILED, &err), &err);
    assert_fails(manager_end_lease(bench.manager, &wish.lease_id, MANAGER_FAILED, &err), &err, NOT_FOUND, "lease");
    close_bench(&bench);
}

static void refused_creates_make_no_hot_loop(void **state)
{
    (void)state;
    struct bench bench;
    reset_fake();
    fake.refuses = true;
    open_bench(&bench);
    run_for(&bench, 1500);
    assert_in_range(fake.n_creates, 2, 12);
    assert_false(rw_health_is_ready(bench.health));
    fake.refuses = false;
    struct wish wish;
    want(&bench, &wish, 60000, 10000);
    int64_t end_ms = rw_monotonic_ms() + 35000;
    while (wish.n_answers == 0 && rw_monotonic_ms() < end_ms) {
        run_for(&bench, 50);
    }
    assert_int_equal(wish.refusal, RW_OK);
    run_for(&bench, 50);
    assert_true(rw_health_is_ready(bench.health));
    close_bench(&bench);
}

static void pods_that_never_become_ready_are_killed(void **state)
{
    (void)state;
    struct bench bench;
    reset_fake();
    fake.stalls = true;
    open_bench(&bench);
    run_for(&bench, 450);
    assert_int_equal(fake.n_killed, 2);
    assert_false(rw_health_is_ready(bench.health));
    close_bench(&bench);
}

static void nothing_is_made_by_a_backend_that_cannot(void **state)
{
    (void)state;
    struct bench bench;
    struct wish wish;
    reset_fake();
    fake.is_usable = false;
    open_bench(&bench);
    run_for(&bench, 20);
    want(&bench, &wish, 50, 1000);
    run_for(&bench, 250);
    assert_int_equal(wish.refusal, RW_ERR_UNAVAILABLE);
    assert_int_equal(fake.n_creates, 0);
    assert_false(rw_health_is_ready(bench.health));
    close_bench(&bench);
}

static void adopted(const char *name, const char *language, bool is_leased)
{
    const struct backend_adopted info = {.language = language, .is_leased = is_leased};
    fake.events.adopted(fake.events.arg, name, &info);
}

static void pods_of_an_earlier_instance_are_adopted(void **state)
{
    (void)state;
    static const uint8_t secret[RW_POD_SECRET_BYTES] = {1, 2, 3};
    struct bench bench;
    struct wish wish;
    reset_fake();
    fake.is_usable = false;
    open_bench(&bench);
    run_for(&bench, 20);
    struct backend_ready info = {.address = "unix:/nowhere", .secret = secret};
    adopted("python-leased", "python", true);
    adopted("python-warm", "python", false);
    adopted("cobol-warm", "cobol", false);                      /* a language that is no more */
    fake.events.ready(fake.events.arg, "python-leased", &info); /* says nothing: its lease is another's */
    fake.events.ready(fake.events.arg, "python-warm", &info);
    assert_int_equal(pool_count(&bench.manager->pools->pools[0]), 2);
    want(&bench, &wish, 0, 1000);
    run_for(&bench, 20);
    assert_string_equal(wish.pod, "python-warm");
    fake.events.stale(fake.events.arg, "python-warm");
    fake.events.gone(fake.events.arg, "python-leased", BACKEND_FINISHED, NULL);
    assert_null(leases_find(&bench.manager->leases, &wish.lease_id)->end_reason);
    fake.events.gone(fake.events.arg, "python-warm", BACKEND_OOM_KILLED, NULL);
    assert_string_equal(leases_find(&bench.manager->leases, &wish.lease_id)->end_reason, "oom_killed");
    assert_int_equal(pool_count(&bench.manager->pools->pools[0]), 0);
    assert_int_equal(fake.n_creates, 0);
    close_bench(&bench);
}

static void draining_waits_for_leases_and_then_does_not(void **state)
{
    (void)state;
    struct rw_error err = {0};
    for (int gives_back = 0; gives_back < 2; gives_back++) {
        struct bench bench;
        struct wish wish;
        struct wish late;
        reset_fake();
        open_bench(&bench);
        want(&bench, &wish, 1000, 60000);
        run_for(&bench, 50);
        manager_drain(bench.manager);
        want(&bench, &late, 1000, 60000);
        assert_int_equal(late.refusal, RW_ERR_CANCELLED);
        run_for(&bench, 100);
        assert_false(bench.is_drained);
        assert_int_equal(HASH_COUNT(bench.manager->pods), 1);
        if (gives_back) {
            assert_ok(manager_end_lease(bench.manager, &wish.lease_id, MANAGER_USED, &err), &err);
            run_for(&bench, 30);
        } else {
            run_for(&bench, 400);
            assert_true(fake.n_killed >= 1);
        }
        assert_true(bench.is_drained);
        assert_int_equal(HASH_COUNT(bench.manager->pods), 0);
        close_bench(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_from_start_to_end),
        cmocka_unit_test(waiting_is_in_order_and_bounded_in_time),
        cmocka_unit_test(clients_that_left_are_passed_over),
        cmocka_unit_test(a_lease_past_its_deadline_loses_its_pod),
        cmocka_unit_test(a_lost_pod_is_replaced_and_its_lease_still_found_once),
        cmocka_unit_test(refused_creates_make_no_hot_loop),
        cmocka_unit_test(pods_that_never_become_ready_are_killed),
        cmocka_unit_test(nothing_is_made_by_a_backend_that_cannot),
        cmocka_unit_test(pods_of_an_earlier_instance_are_adopted),
        cmocka_unit_test(draining_waits_for_leases_and_then_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
