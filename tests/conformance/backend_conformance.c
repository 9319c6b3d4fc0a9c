/* What every backend must do (pod-manager/backend.h), shown on a real one: backend_conformance NAME.
 *
 * A recorder takes the events and checks their order: ready and failed at most once each, gone exactly once and last, nothing from
 * inside a call of the table. */
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/frame.h>
#include <rw/random.h>
#include <rw/runner_protocol.h>

#include "conformance.h"

enum { PODS_MAX = 16, PATIENCE_MS = 30000, TICK_MS = 20 };

struct seen {
    char name[BACKEND_NAME_BYTES];
    bool is_ready;
    bool has_failed;
    bool is_gone;
    bool is_adopted;
    enum backend_reason reason;
    char address[256];
    uint8_t secret[RW_POD_SECRET_BYTES];
};

struct world {
    const struct subject *subject;
    char folder[32];
    struct manager_config config;
    struct rw_metrics *metrics[2]; /* of each opening */
    size_t n_openings;
    uv_loop_t loop;
    uv_timer_t timer;
    const struct backend_class *class;
    struct backend *backend;
    struct seen seen[PODS_MAX];
    size_t n_seen;
    unsigned n_listed;
    struct backend_listed listed; /* the last one */
    bool is_calling;              /* inside the table: no event may come */
    bool is_told;
    bool is_usable;
};

static const struct subject *subject;

/* ---- the recorder ---- */

static struct seen *find(struct world *world, const char *name)
{
    for (size_t i = 0; i < world->n_seen; i++) {
        if (strcmp(world->seen[i].name, name) == 0) {
            return &world->seen[i];
        }
    }
    fail_msg("an event for %s, which was never created", name);
    return NULL;
}

static void on_ready(void *arg, const char *name, const struct backend_ready *info)
{
    struct world *world = arg;
    struct seen *pod = find(world, name);
    assert_false(world->is_calling);
    assert_false(pod->is_ready || pod->has_failed || pod->is_gone);
    pod->is_ready = true;
    (void)snprintf(pod->address, sizeof(pod->address), "%s", info->address);
    memcpy(pod->secret, info->secret, sizeof(pod->secret));
}

static void on_failed(void *arg, const char *name, enum backend_reason reason, const char *detail)
{
    struct world *world = arg;
    struct seen *pod = find(world, name);
    (void)detail;
    assert_false(world->is_calling);
    assert_false(pod->has_failed || pod->is_gone);
    pod->has_failed = true;
    pod->reason = reason;
}

static void on_gone(void *arg, const char *name, enum backend_reason reason, const char *detail)
{
    struct world *world = arg;
    struct seen *pod = find(world, name);
    (void)detail;
    assert_false(world->is_calling);
    assert_false(pod->is_gone);
    pod->is_gone = true;
    pod->reason = pod->has_failed ? pod->reason : reason;
}

static void on_adopted(void *arg, const char *name, const struct backend_adopted *info)
{
    struct world *world = arg;
    assert_false(world->is_calling);
    assert_true(subject->is_adopting && !info->is_leased);
    assert_string_equal(info->language, "python");
    assert_int_equal(info->isolation, RW_ISOLATION_POD);
    struct seen *pod = &world->seen[world->n_seen];
    assert_true(world->n_seen++ < PODS_MAX);
    *pod = (struct seen){.is_adopted = true};
    (void)snprintf(pod->name, sizeof(pod->name), "%s", name);
}

static void on_stale(void *arg, const char *name)
{
    (void)arg;
    fail_msg("%s is said to be stale", name);
}

static void on_usable(void *arg, bool is_usable, const char *detail)
{
    struct world *world = arg;
    assert_false(world->is_calling);
    assert_true(is_usable == (detail == NULL));
    world->is_told = true;
    world->is_usable = is_usable;
}

/* ---- the world ---- */

static void on_timer(uv_timer_t *timer)
{
    struct world *world = timer->data;
    if (world->backend) {
        world->class->tick(world->backend, rw_monotonic_ms());
    }
}

static void on_layers(void *arg, const char *layers)
{
    (void)arg;
    assert_true(layers && layers[0]);
}

static void open_backend(struct world *world)
{
    struct rw_metrics *metrics = world->metrics[world->n_openings++] = rw_metrics_new();
    struct backend_options options = {
        .loop = &world->loop,
        .config = &world->config,
        .metrics = metrics,
        .events = {.ready = on_ready,
                   .failed = on_failed,
                   .gone = on_gone,
                   .usable = on_usable,
                   .layers = on_layers,
                   .adopted = on_adopted,
                   .stale = on_stale,
                   .arg = world},
    };
    struct rw_error err = {0};
    world->is_calling = true;
    if (world->class->open(&options, &world->backend, &err)) {
        fail_msg("open: %s", err.message);
    }
    world->is_calling = false;
    (void)uv_timer_start(&world->timer, on_timer, TICK_MS, TICK_MS);
}

static void start(struct world *world, bool is_spoilt)
{
    struct rw_error err = {0};
    *world = (struct world){.subject = subject, .folder = "/tmp/rwc-XXXXXX", .class = backend_find(subject->backend)};
    assert_non_null(world->class);
    assert_non_null(mkdtemp(world->folder));
    world->config.pods_max = PODS_MAX;
    world->config.ready_timeout_ms = PATIENCE_MS;
    subject->configure(&world->config, world->folder);
    if (is_spoilt) {
        subject->spoil(&world->config);
    }
    if (world->class->prepare(&world->config, &err)) {
        fail_msg("prepare: %s", err.message);
    }
    (void)uv_loop_init(&world->loop);
    (void)uv_timer_init(&world->loop, &world->timer);
    world->timer.data = world;
    open_backend(world);
}

/* Runs the loop until the condition holds. */
#define await(world, condition)                                                                                                    \
    do {                                                                                                                           \
        int64_t _end_ms = rw_monotonic_ms() + PATIENCE_MS;                                                                         \
        while (!(condition) && rw_monotonic_ms() < _end_ms) {                                                                      \
            (void)uv_run(&(world)->loop, UV_RUN_ONCE);                                                                             \
        }                                                                                                                          \
        if (!(condition)) {                                                                                                        \
            fail_msg("not within %d ms: %s", PATIENCE_MS, #condition);                                                             \
        }                                                                                                                          \
    } while (0)

static void run_for(struct world *world, int64_t time_ms)
{
    int64_t end_ms = rw_monotonic_ms() + time_ms;
    while (rw_monotonic_ms() < end_ms) {
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    }
}

/* As the daemon does before it opens its pools. */
static void begin(struct world *world, bool is_spoilt)
{
    start(world, is_spoilt);
    await(world, world->is_usable);
}

/* Closes it and runs the loop until nothing of it is left there. */
static void close_backend(struct world *world)
{
    world->is_calling = true;
    world->class->close(world->backend);
    world->backend = NULL;
    (void)uv_timer_stop(&world->timer);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    world->is_calling = false;
}

/* What would outlive the manager goes first. */
static void end_all(struct world *world)
{
    for (size_t i = 0; subject->is_adopting && i < world->n_seen; i++) {
        world->class->destroy(world->backend, world->seen[i].name, BACKEND_AT_ONCE);
    }
    for (size_t i = 0; subject->is_adopting && i < world->n_seen; i++) {
        await(world, world->seen[i].is_gone);
    }
}

static void finish(struct world *world)
{
    if (world->backend) {
        end_all(world);
        close_backend(world);
    }
    uv_close((uv_handle_t *)&world->timer, NULL);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    int64_t end_ms = rw_monotonic_ms() + PATIENCE_MS;
    while (subject->traces(&world->config) > 0 && rw_monotonic_ms() < end_ms) {
        (void)usleep(10000);
    }
    assert_int_equal(subject->traces(&world->config), 0);
    rw_metrics_free(world->metrics[0]);
    rw_metrics_free(world->metrics[1]);
    rw_config_free(&manager_config_schema, rw_xmemdup(&world->config, sizeof(world->config)));
    const char *const argv[] = {"rm", "-rf", world->folder, NULL};
    assert_int_equal(subject_run(argv), 0);
}

static struct seen *create(struct world *world)
{
    const struct backend_wish python = {.language = "python", .isolation = RW_ISOLATION_POD, .slots = 1, .uses = 1};
    struct rw_error err = {0};
    uint32_t random = rw_random_below(UINT32_MAX);
    assert_true(world->n_seen < PODS_MAX);
    struct seen *pod = &world->seen[world->n_seen++];
    (void)snprintf(pod->name, sizeof(pod->name), "python-%08x%02zx", random, world->n_seen);
    world->is_calling = true;
    if (world->class->create(world->backend, pod->name, &python, &err)) {
        fail_msg("create: %s", err.message);
    }
    world->is_calling = false;
    return pod;
}

static void destroy(struct world *world, const char *name, enum backend_manner manner)
{
    world->is_calling = true;
    world->class->destroy(world->backend, name, manner);
    world->is_calling = false;
}

static void count_listed(void *arg, const struct backend_listed *pod)
{
    struct world *world = arg;
    world->n_listed++;
    world->listed = (struct backend_listed){.pod = find(world, pod->pod)->name, .process = pod->process};
}

static unsigned n_listed(struct world *world)
{
    world->n_listed = 0;
    world->class->list(world->backend, count_listed, world);
    return world->n_listed;
}

/* ---- a scheduler's first words ---- */

static int connect_tcp(const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    struct timeval patience = {.tv_sec = 1}; /* where nobody is, nobody answers */
    const char *colon = strrchr(address, ':');
    RW_AUTO_FREE char *host = rw_xstrndup(address, (size_t)(colon - address));
    assert_int_equal(getaddrinfo(host, colon + 1, &hints, &found), 0);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int failed = connect(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (failed) {
        (void)close(fd);
        return -1;
    }
    patience.tv_sec = PATIENCE_MS / 1000;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static int connect_to(const char *address)
{
    struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    if (strncmp(address, "tcp:", 4) == 0) {
        return connect_tcp(address + 4);
    }
    assert_int_equal(strncmp(address, "unix:", 5), 0);
    (void)snprintf(unix_address.sun_path, sizeof(unix_address.sun_path), "%s", address + 5);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&unix_address, sizeof(unix_address))) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void receive(int fd, struct rw_frame_reader *reader, struct rw_bytes *ret_payload)
{
    struct rw_error err = {0};
    while (rw_frame_reader_next(reader, ret_payload, &err) == 0) {
        uint8_t bytes[4096];
        ssize_t n = read(fd, bytes, sizeof(bytes));
        assert_true(n > 0);
        assert_int_equal(rw_frame_reader_feed(reader, rw_bytes_of(bytes, (size_t)n), &err), 0);
    }
}

/* Says hello and returns whether the answer's proof is right under the secret. */
static bool proves(const char *address, const uint8_t secret[static RW_POD_SECRET_BYTES])
{
    uint8_t nonce[RW_NONCE_BYTES];
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer hello;
    RW_AUTO_FD int fd = connect_to(address);
    assert_true(fd >= 0);
    rw_random_bytes(nonce, sizeof(nonce));
    struct rw_message message = {.type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(nonce, sizeof(nonce)), .lease_id = rw_uuid_v7()};
    rw_buffer_init(&hello, 4096);
    assert_int_equal(rw_message_encode(&message, &hello, &err), 0);
    assert_int_equal(write(fd, hello.data, hello.len), (ssize_t)hello.len);

    struct rw_frame_reader reader;
    struct rw_bytes payload;
    struct rw_message answer;
    rw_frame_reader_init(&reader, 65536);
    receive(fd, &reader, &payload);
    assert_int_equal(rw_message_decode(payload, &answer, &err), 0);
    assert_int_equal(answer.type, RW_MESSAGE_HELLO);
    bool is_right = rw_proof_check(secret, RW_ROLE_RUNNER, nonce, answer.nonce.data, &message.lease_id, answer.proof);
    rw_frame_reader_done(&reader);
    return is_right;
}

/* ---- the cases ---- */

static void it_says_once_whether_it_is_usable_and_leaves_nothing(void **state)
{
    (void)state;
    struct world world;
    start(&world, false);
    assert_false(world.is_told); /* not from inside open */
    await(&world, world.is_told);
    assert_true(world.is_usable);
    assert_int_equal(n_listed(&world), 0);
    finish(&world);
}

static void a_pod_becomes_ready_and_can_be_reached(void **state)
{
    (void)state;
    struct world world;
    begin(&world, false);
    struct seen *a = create(&world);
    struct seen *b = create(&world);
    await(&world, a->is_ready && b->is_ready);
    assert_int_equal(n_listed(&world), 2);
    assert_string_not_equal(a->address, b->address);
    assert_memory_not_equal(a->secret, b->secret, sizeof(a->secret));
    assert_true(proves(a->address, a->secret));
    assert_true(proves(b->address, b->secret));
    assert_false(proves(b->address, a->secret));     /* a secret is one pod's */
    assert_true(subject->traces(&world.config) > 0); /* so that its being 0 later means something */
    destroy(&world, a->name, BACKEND_AT_ONCE);
    destroy(&world, b->name, BACKEND_AT_ONCE);
    await(&world, a->is_gone && b->is_gone);
    finish(&world);
}

static void a_destroyed_pod_is_gone_once_and_for_all(void **state)
{
    (void)state;
    for (int manner = BACKEND_GENTLY; manner <= BACKEND_AT_ONCE; manner++) {
        struct world world;
        begin(&world, false);
        struct seen *pod = create(&world);
        await(&world, pod->is_ready);
        destroy(&world, pod->name, (enum backend_manner)manner);
        destroy(&world, pod->name, (enum backend_manner)manner); /* safe to repeat */
        destroy(&world, "python-never-was", BACKEND_AT_ONCE);
        await(&world, pod->is_gone);
        assert_int_equal(pod->reason, BACKEND_DESTROYED);
        assert_false(pod->has_failed);
        destroy(&world, pod->name, BACKEND_AT_ONCE);
        assert_int_equal(n_listed(&world), 0);
        int64_t end_ms = rw_monotonic_ms() + (subject->is_adopting ? PATIENCE_MS : 0); /* a kubelet takes its time */
        int fd = connect_to(pod->address);
        while (fd >= 0 && rw_monotonic_ms() < end_ms) {
            (void)close(fd);
            run_for(&world, 200);
            fd = connect_to(pod->address);
        }
        assert_int_equal(fd, -1);
        run_for(&world, 200);
        assert_int_equal(subject->traces(&world.config), 0);
        finish(&world);
    }
}

static void a_pod_can_be_destroyed_in_the_making(void **state)
{
    (void)state;
    struct world world;
    begin(&world, false);
    struct seen *pod = create(&world);
    destroy(&world, pod->name, BACKEND_AT_ONCE);
    await(&world, pod->is_gone);
    assert_false(pod->is_ready);
    run_for(&world, 100);
    finish(&world);
}

static void a_gentle_end_can_become_a_sudden_one(void **state)
{
    (void)state;
    struct world world;
    begin(&world, true); /* a runner that would not end by itself */
    struct seen *pod = create(&world);
    destroy(&world, pod->name, BACKEND_GENTLY);
    destroy(&world, pod->name, BACKEND_AT_ONCE);
    await(&world, pod->is_gone);
    struct seen *stubborn = create(&world);
    destroy(&world, stubborn->name, BACKEND_GENTLY); /* gently, too, comes to an end */
    await(&world, stubborn->is_gone);
    finish(&world);
}

static void a_pod_killed_from_outside_is_gone_with_another_reason(void **state)
{
    (void)state;
    struct world world;
    begin(&world, false);
    struct seen *pod = create(&world);
    await(&world, pod->is_ready);
    assert_int_equal(n_listed(&world), 1);
    subject->murder(&world.listed);
    await(&world, pod->is_gone);
    assert_int_not_equal(pod->reason, BACKEND_DESTROYED);
    assert_int_equal(n_listed(&world), 0);
    finish(&world);
}

static void a_pod_that_cannot_work_is_never_ready(void **state)
{
    (void)state;
    struct world world;
    begin(&world, true);
    struct seen *pod = create(&world);
    run_for(&world, 500);
    assert_false(pod->is_ready);
    destroy(&world, pod->name, BACKEND_AT_ONCE);
    await(&world, pod->is_gone);
    assert_false(pod->is_ready);
    finish(&world);
}

static void many_pods_at_once(void **state)
{
    (void)state;
    struct world world;
    begin(&world, false);
    for (int i = 0; i < PODS_MAX; i++) {
        (void)create(&world);
    }
    for (int i = 0; i < PODS_MAX; i++) {
        await(&world, world.seen[i].is_ready);
        for (int other = 0; other < i; other++) {
            assert_string_not_equal(world.seen[i].address, world.seen[other].address);
        }
    }
    assert_int_equal(n_listed(&world), PODS_MAX);
    for (int i = 0; i < PODS_MAX; i++) {
        destroy(&world, world.seen[i].name, i % 2 ? BACKEND_AT_ONCE : BACKEND_GENTLY);
    }
    for (int i = 0; i < PODS_MAX; i++) {
        await(&world, world.seen[i].is_gone);
    }
    assert_int_equal(n_listed(&world), 0);
    finish(&world);
}

/* Pods that are handed over are let go by one instance, live on, and are the next one's. */
static void what_is_handed_over_is_adopted(void **state)
{
    (void)state;
    struct world world;
    if (!subject->is_adopting) {
        return;
    }
    begin(&world, false);
    struct seen *ready = create(&world);
    await(&world, ready->is_ready);
    struct seen *making = create(&world);
    run_for(&world, 500);
    world.is_calling = true;
    world.class->hand_over(world.backend);
    world.is_calling = false;
    await(&world, ready->is_gone && making->is_gone);
    assert_int_equal(ready->reason, BACKEND_HANDED_OVER);
    assert_int_equal(n_listed(&world), 0);
    struct seen before = *ready;
    close_backend(&world);
    (void)uv_run(&world.loop, UV_RUN_NOWAIT);

    world.n_seen = 0;
    world.is_usable = false;
    open_backend(&world);
    int64_t began_ms = rw_monotonic_ms();
    await(&world, world.is_usable && world.n_seen == 2 && world.seen[0].is_ready && world.seen[1].is_ready);
    assert_true(rw_monotonic_ms() - began_ms < 10000); /* given up, not run out */
    const struct seen *same = find(&world, before.name);
    assert_true(same->is_adopted);
    assert_string_equal(same->address, before.address);
    assert_memory_equal(same->secret, before.secret, sizeof(before.secret));
    assert_true(proves(same->address, same->secret));
    finish(&world);
}

static void close_takes_what_is_left_along(void **state)
{
    (void)state;
    struct world world;
    if (subject->is_adopting) {
        return;
    }
    begin(&world, false);
    struct seen *ready = create(&world);
    await(&world, ready->is_ready);
    struct seen *making = create(&world);
    close_backend(&world);
    finish(&world);
    assert_false(ready->is_gone || making->is_gone); /* without events */
}

static void what_a_killed_instance_left_is_swept(void **state)
{
    (void)state;
    struct world world;
    begin(&world, false);
    await(&world, world.is_told);
    if (subject->is_adopting) {
        world.class->hand_over(world.backend);
        run_for(&world, 1500);
    }
    close_backend(&world);
    (void)fflush(NULL);
    pid_t instance = fork();
    if (instance == 0) { /* another instance, which dies without a word; it leaves by _exit, so that cmocka is not run twice */
        static struct world other;
        other = (struct world){.subject = subject, .config = world.config, .class = world.class};
        (void)uv_loop_init(&other.loop);
        (void)uv_timer_init(&other.loop, &other.timer);
        other.timer.data = &other;
        open_backend(&other);
        await(&other, other.is_usable);
        struct seen *warm = create(&other);
        while (!warm->is_ready) {
            (void)uv_run(&other.loop, UV_RUN_ONCE);
        }
        (void)create(&other);
        run_for(&other, subject->is_adopting ? 300 : 0); /* what has not been asked for yet leaves no trace */
        (void)raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(instance, &status, 0), instance);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    world.is_usable = false;
    open_backend(&world);
    await(&world, world.is_usable);
    if (subject->is_adopting) {
        await(&world, world.n_seen == 2 && world.seen[0].is_ready && world.seen[1].is_ready);
    } else {
        await(&world, subject->traces(&world.config) == 0);
    }
    size_t n_adopted = world.n_seen;
    struct seen *pod = create(&world);
    await(&world, pod->is_ready);
    assert_int_equal(n_listed(&world), n_adopted + 1);
    finish(&world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_once_whether_it_is_usable_and_leaves_nothing),
        cmocka_unit_test(a_pod_becomes_ready_and_can_be_reached),
        cmocka_unit_test(a_destroyed_pod_is_gone_once_and_for_all),
        cmocka_unit_test(a_pod_can_be_destroyed_in_the_making),
        cmocka_unit_test(a_gentle_end_can_become_a_sudden_one),
        cmocka_unit_test(a_pod_killed_from_outside_is_gone_with_another_reason),
        cmocka_unit_test(a_pod_that_cannot_work_is_never_ready),
        cmocka_unit_test(many_pods_at_once),
        cmocka_unit_test(what_is_handed_over_is_adopted),
        cmocka_unit_test(close_takes_what_is_left_along),
        cmocka_unit_test(what_a_killed_instance_left_is_swept),
    };
    enum { EXIT_SKIPPED = 77, EXIT_USAGE = 64 };
    subject = argc == 2 ? subject_find(argv[1]) : NULL;
    if (!subject) {
        (void)fprintf(stderr, "usage: %s BACKEND\n", argv[0]);
        return EXIT_USAGE;
    }
    const char *missing = subject->missing();
    if (missing) {
        (void)printf("skipped: %s\n", missing);
        return EXIT_SKIPPED;
    }
    return cmocka_run_group_tests_name(subject->backend, tests, NULL, NULL);
}
