/* Publisher and consumer against a real broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <pthread.h>
#include <stdatomic.h>

#include <rw/amqp.h>
#include <rw/clock.h>
#include <rw/uuid.h>

#include "support.h"

enum { SEEN_MAX = 20000 };
#define LANGUAGE "services"

static const char *const languages[] = {LANGUAGE};

struct seen {
    uint64_t tag;
    uint64_t generation;
    size_t subscription;
    bool is_redelivered;
    char body[64];
    char routing_key[64];
    char traceparent[RW_TRACEPARENT_BYTES];
};

struct fixture {
    struct rw_config_broker config;
    struct rw_metrics *registries[16]; /* one for each start, for a series is registered once */
    size_t n_registries;
    struct rw_amqp_options options;
    struct rw_amqp_publisher *publisher;
    struct rw_amqp_consumer *consumer;
    atomic_uint outcomes[RW_PUBLISH_UNKNOWN + 1];
    atomic_uint n_seen;
    atomic_uint n_connected;
    atomic_uint n_disconnected;
    struct seen seen[SEEN_MAX]; /* written by the consumer's thread, read when n_seen says so */
    bool acks_at_once;
};

static bool wait_for(atomic_uint *counter, unsigned wanted)
{
    int64_t deadline_ms = rw_monotonic_ms() + patience_ms();
    while (atomic_load(counter) < wanted && rw_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    return atomic_load(counter) >= wanted;
}

static void on_published(void *arg, enum rw_publish_outcome outcome)
{
    struct fixture *fixture = arg;
    atomic_fetch_add(&fixture->outcomes[outcome], 1);
}

static unsigned n_outcomes(struct fixture *fixture)
{
    unsigned n = 0;
    for (int i = 0; i <= RW_PUBLISH_UNKNOWN; i++) {
        n += atomic_load(&fixture->outcomes[i]);
    }
    return n;
}

static bool wait_outcomes(struct fixture *fixture, unsigned wanted)
{
    int64_t deadline_ms = rw_monotonic_ms() + patience_ms();
    while (n_outcomes(fixture) < wanted && rw_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    return n_outcomes(fixture) == wanted;
}

static void on_delivered(void *arg, const struct rw_amqp_delivery *delivery)
{
    struct fixture *fixture = arg;
    unsigned at = atomic_load(&fixture->n_seen);
    struct seen *seen = &fixture->seen[at % SEEN_MAX];
    *seen = (struct seen){.tag = delivery->tag,
                          .generation = delivery->generation,
                          .subscription = delivery->subscription,
                          .is_redelivered = delivery->is_redelivered};
    (void)snprintf(seen->body, sizeof(seen->body), "%.*s", (int)delivery->body.len, (const char *)delivery->body.data);
    (void)snprintf(seen->routing_key, sizeof(seen->routing_key), "%s", delivery->routing_key);
    (void)snprintf(seen->traceparent, sizeof(seen->traceparent), "%s", delivery->trace.traceparent);
    if (fixture->acks_at_once) {
        rw_amqp_settle(fixture->consumer, delivery->subscription, delivery->generation, delivery->tag, RW_SETTLE_ACK);
    }
    atomic_store(&fixture->n_seen, at + 1);
}

static void on_connected(void *arg, uint64_t generation)
{
    struct fixture *fixture = arg;
    assert_true(generation > atomic_load(&fixture->n_connected));
    atomic_fetch_add(&fixture->n_connected, 1);
}

static void on_disconnected(void *arg)
{
    struct fixture *fixture = arg;
    atomic_fetch_add(&fixture->n_disconnected, 1);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->config = broker_config();
    fixture->options = (struct rw_amqp_options){.config = &fixture->config,
                                                .password = broker_password(),
                                                .connection_name = "test_amqp",
                                                .languages = languages,
                                                .n_languages = RW_ARRAY_SIZE(languages)};
    *state = fixture;
    return 0;
}

static const struct rw_amqp_options *new_options(struct fixture *fixture)
{
    assert_true(fixture->n_registries < RW_ARRAY_SIZE(fixture->registries));
    fixture->options.metrics = fixture->registries[fixture->n_registries++] = rw_metrics_new();
    return &fixture->options;
}

static void start_publisher(struct fixture *fixture, size_t queue_max)
{
    struct rw_error err;
    assert_int_equal(rw_amqp_publisher_start(new_options(fixture), queue_max, &fixture->publisher, &err), 0);
    int64_t deadline_ms = rw_monotonic_ms() + patience_ms();
    while (!rw_amqp_publisher_is_connected(fixture->publisher) && rw_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    assert_true(rw_amqp_publisher_is_connected(fixture->publisher));
}

static void start_consumer(struct fixture *fixture, const struct rw_amqp_subscription *subscriptions, size_t n)
{
    const struct rw_amqp_consumer_callbacks callbacks = {
        .delivered = on_delivered, .connected = on_connected, .disconnected = on_disconnected, .arg = fixture};
    struct rw_error err;
    unsigned before = atomic_load(&fixture->n_connected);
    assert_int_equal(rw_amqp_consumer_start(new_options(fixture), subscriptions, n, &callbacks, &fixture->consumer, &err), 0);
    assert_true(wait_for(&fixture->n_connected, before + 1));
}

static void stop_consumer(struct fixture *fixture)
{
    rw_amqp_consumer_stop(rw_take(fixture->consumer));
    atomic_store(&fixture->n_connected, 0);
}

/* Starts with empty queues. */
static void purge(void)
{
    struct rw_config_broker config = broker_config();
    amqp_connection_state_t conn = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(conn);
    assert_int_equal(amqp_socket_open(socket, config.host, (int)config.port), AMQP_STATUS_OK);
    amqp_rpc_reply_t reply = amqp_login(conn, config.vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, config.user, broker_password());
    assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
    static const char *const queues[] = {"runwave.tasks." LANGUAGE, "runwave.tasks." LANGUAGE ".high", RW_QUEUE_DEAD};
    for (size_t i = 0; i < RW_ARRAY_SIZE(queues); i++) { /* a channel each: it closes when the queue does not exist yet */
        (void)amqp_channel_open(conn, (amqp_channel_t)(i + 1));
        (void)amqp_queue_purge(conn, (amqp_channel_t)(i + 1), amqp_cstring_bytes(queues[i]));
    }
    (void)amqp_destroy_connection(conn);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    rw_amqp_publisher_stop(fixture->publisher, 0);
    rw_amqp_consumer_stop(fixture->consumer);
    for (size_t i = 0; i < fixture->n_registries; i++) {
        rw_metrics_free(fixture->registries[i]);
    }
    free(fixture);
    purge();
    return 0;
}

static const char *task_queue(enum rw_priority priority)
{
    static const char *const names[_RW_PRIORITY_MAX] = {[RW_PRIORITY_HIGH] = "runwave.tasks." LANGUAGE ".high",
                                                        [RW_PRIORITY_NORMAL] = "runwave.tasks." LANGUAGE,
                                                        [RW_PRIORITY_LOW] = "runwave.tasks." LANGUAGE ".low"};
    return names[priority];
}

static int publish(struct fixture *fixture, const char *exchange, const char *routing_key, const char *body, struct rw_error *err)
{
    const struct rw_amqp_message message = {.exchange = exchange,
                                            .routing_key = routing_key,
                                            .body = rw_bytes_of(body, strlen(body)),
                                            .message_id = body,
                                            .is_mandatory = strcmp(exchange, RW_EXCHANGE_TASKS) == 0,
                                            .is_persistent = true};
    return rw_amqp_publish(fixture->publisher, &message, on_published, fixture, err);
}

static void publish_task(struct fixture *fixture, unsigned n)
{
    char body[32];
    struct rw_error err;
    (void)snprintf(body, sizeof(body), "task-%u", n);
    assert_int_equal(publish(fixture, RW_EXCHANGE_TASKS, task_queue(RW_PRIORITY_NORMAL), body, &err), 0);
}

static void settle(struct fixture *fixture, unsigned at, enum rw_settlement settlement)
{
    const struct seen *seen = &fixture->seen[at];
    rw_amqp_settle(fixture->consumer, seen->subscription, seen->generation, seen->tag, settlement);
}

/* ---- the way of a message ---- */

static void a_message_arrives_whole(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    const struct rw_amqp_subscription subscriptions[] = {
        {.queue = task_queue(RW_PRIORITY_HIGH), .prefetch = 5},
        {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5},
    };
    start_consumer(fixture, subscriptions, 2);
    fixture->acks_at_once = true;
    struct rw_trace trace;
    rw_trace_new(&trace);
    const struct rw_amqp_message message = {.exchange = RW_EXCHANGE_TASKS,
                                            .routing_key = task_queue(RW_PRIORITY_NORMAL),
                                            .body = rw_bytes_of("hello", 5),
                                            .message_id = "hello",
                                            .traceparent = trace.traceparent,
                                            .is_mandatory = true,
                                            .is_persistent = true};
    int64_t begin_us = rw_monotonic_us();
    assert_int_equal(rw_amqp_publish(fixture->publisher, &message, on_published, fixture, NULL), 0);
    assert_true(wait_for(&fixture->n_seen, 1));
    print_message("published and delivered in %lld us\n", (long long)(rw_monotonic_us() - begin_us));
    assert_true(wait_outcomes(fixture, 1));
    assert_int_equal(fixture->outcomes[RW_PUBLISH_CONFIRMED], 1);
    assert_string_equal(fixture->seen[0].body, "hello");
    assert_int_equal(fixture->seen[0].subscription, 1);
    assert_string_equal(fixture->seen[0].routing_key, "runwave.tasks.services");
    assert_string_equal(fixture->seen[0].traceparent, trace.traceparent);
    assert_false(fixture->seen[0].is_redelivered);
}

static void large_and_empty_bodies_pass(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5};
    start_consumer(fixture, &subscription, 1);
    fixture->acks_at_once = true;
    static char body[128 * 1024 + 1];
    memset(body, 'x', sizeof(body));
    struct rw_error err;
    struct rw_amqp_message message = {.exchange = RW_EXCHANGE_TASKS, .routing_key = subscription.queue, .is_mandatory = true};
    message.body = rw_bytes_of(body, 128 * 1024);
    assert_int_equal(rw_amqp_publish(fixture->publisher, &message, on_published, fixture, &err), 0);
    message.body = rw_bytes_of(NULL, 0);
    assert_int_equal(rw_amqp_publish(fixture->publisher, &message, on_published, fixture, &err), 0);
    message.body = rw_bytes_of(body, sizeof(body));
    assert_int_equal(rw_amqp_publish(fixture->publisher, &message, on_published, fixture, &err), -1);
    assert_int_equal(err.code, RW_ERR_TOO_LARGE);
    assert_true(wait_for(&fixture->n_seen, 2));
    assert_int_equal(strlen(fixture->seen[0].body), 63);
    assert_string_equal(fixture->seen[1].body, "");
    assert_true(wait_outcomes(fixture, 2));
    assert_int_equal(fixture->outcomes[RW_PUBLISH_CONFIRMED], 2);
}

static void what_no_queue_takes_is_returned(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 1000);
    struct rw_error err;
    for (unsigned i = 0; i < 300; i++) {
        if (i % 3 == 1) {
            assert_int_equal(publish(fixture, RW_EXCHANGE_TASKS, "runwave.tasks.nowhere", "lost", &err), 0);
        } else {
            publish_task(fixture, i);
        }
    }
    assert_true(wait_outcomes(fixture, 300));
    assert_int_equal(fixture->outcomes[RW_PUBLISH_RETURNED], 100);
    assert_int_equal(fixture->outcomes[RW_PUBLISH_CONFIRMED], 200);
}

static void an_event_nobody_hears_is_confirmed(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    assert_int_equal(publish(fixture, RW_EXCHANGE_EVENTS, "final.done.x", "x", NULL), 0);
    assert_true(wait_outcomes(fixture, 1));
    assert_int_equal(fixture->outcomes[RW_PUBLISH_CONFIRMED], 1);
}

static void events_come_by_pattern(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    const struct rw_amqp_subscription subscription = {.exchange = RW_EXCHANGE_EVENTS, .binding_key = "final.#"};
    start_consumer(fixture, &subscription, 1);
    assert_int_equal(publish(fixture, RW_EXCHANGE_EVENTS, "output.1", "no", NULL), 0);
    assert_int_equal(publish(fixture, RW_EXCHANGE_EVENTS, "final.done.1", "yes", NULL), 0);
    assert_true(wait_for(&fixture->n_seen, 1));
    assert_string_equal(fixture->seen[0].body, "yes");
    assert_string_equal(fixture->seen[0].routing_key, "final.done.1");
    pause_ms(100);
    assert_int_equal(fixture->n_seen, 1);
}

/* ---- settling ---- */

static void prefetch_bounds_what_is_out(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 100);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5};
    start_consumer(fixture, &subscription, 1);
    for (unsigned i = 0; i < 20; i++) {
        publish_task(fixture, i);
    }
    assert_true(wait_for(&fixture->n_seen, 5));
    pause_ms(200);
    assert_int_equal(fixture->n_seen, 5);
    settle(fixture, 2, RW_SETTLE_ACK);
    settle(fixture, 0, RW_SETTLE_ACK);
    assert_true(wait_for(&fixture->n_seen, 7));
    pause_ms(100);
    assert_int_equal(fixture->n_seen, 7);
}

static void one_slow_delivery_holds_up_nobody(void **state)
{
    struct fixture *fixture = *state;
    enum { N = 5000 };
    start_publisher(fixture, N);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 50};
    start_consumer(fixture, &subscription, 1);
    for (unsigned i = 0; i < N; i++) {
        publish_task(fixture, i);
    }
    unsigned n_settled = 1; /* the first stays out */
    int64_t deadline_ms = rw_monotonic_ms() + patience_ms();
    while (n_settled < N && rw_monotonic_ms() < deadline_ms) {
        for (unsigned n_seen = atomic_load(&fixture->n_seen); n_settled < n_seen; n_settled++) {
            settle(fixture, n_settled, RW_SETTLE_ACK);
        }
    }
    assert_int_equal(n_settled, N);
    settle(fixture, 0, RW_SETTLE_ACK);
    pause_ms(300);
    stop_consumer(fixture);
    start_consumer(fixture, &subscription, 1);
    pause_ms(300);
    assert_int_equal(fixture->n_seen, N); /* all were settled: nothing comes again */
    assert_int_equal(fixture->n_disconnected, 1);
}

static void what_is_given_back_comes_again(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5};
    start_consumer(fixture, &subscription, 1);
    publish_task(fixture, 7);
    assert_true(wait_for(&fixture->n_seen, 1));
    settle(fixture, 0, RW_SETTLE_REQUEUE);
    assert_true(wait_for(&fixture->n_seen, 2));
    assert_string_equal(fixture->seen[1].body, "task-7");
    assert_true(fixture->seen[1].is_redelivered);
}

static void what_is_dead_goes_to_the_dead_letters(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    const struct rw_amqp_subscription subscriptions[] = {
        {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5},
        {.queue = RW_QUEUE_DEAD, .prefetch = 5},
    };
    start_consumer(fixture, subscriptions, 2);
    publish_task(fixture, 9);
    assert_true(wait_for(&fixture->n_seen, 1));
    settle(fixture, 0, RW_SETTLE_DEAD);
    assert_true(wait_for(&fixture->n_seen, 2));
    assert_int_equal(fixture->seen[1].subscription, 1);
    assert_string_equal(fixture->seen[1].body, "task-9");
    settle(fixture, 1, RW_SETTLE_ACK);
}

static void wrong_settlements_do_no_harm(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5};
    start_consumer(fixture, &subscription, 1);
    publish_task(fixture, 1);
    assert_true(wait_for(&fixture->n_seen, 1));
    const struct seen *seen = &fixture->seen[0];
    rw_amqp_settle(fixture->consumer, 0, seen->generation, seen->tag + 17, RW_SETTLE_ACK);    /* never delivered */
    rw_amqp_settle(fixture->consumer, 0, seen->generation - 1, seen->tag, RW_SETTLE_REQUEUE); /* of an older connection */
    pause_ms(200);
    assert_int_equal(fixture->n_seen, 1);
    settle(fixture, 0, RW_SETTLE_ACK);
    settle(fixture, 0, RW_SETTLE_ACK); /* twice, in one round or in two */
    pause_ms(200);
    settle(fixture, 0, RW_SETTLE_REQUEUE);
    publish_task(fixture, 2);
    assert_true(wait_for(&fixture->n_seen, 2));
    assert_string_equal(fixture->seen[1].body, "task-2");
    pause_ms(200);
    assert_int_equal(fixture->n_disconnected, 0);
    assert_true(rw_amqp_consumer_is_connected(fixture->consumer));
}

static void after_cancel_nothing_new_comes(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 100);
    const struct rw_amqp_subscription subscriptions[] = {
        {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 2},
        {.exchange = RW_EXCHANGE_CONTROL},
    };
    start_consumer(fixture, subscriptions, 2);
    publish_task(fixture, 1);
    assert_true(wait_for(&fixture->n_seen, 1));
    rw_amqp_consumer_cancel(fixture->consumer);
    pause_ms(100);
    publish_task(fixture, 2);
    assert_int_equal(publish(fixture, RW_EXCHANGE_CONTROL, "", "cancel 1", NULL), 0);
    assert_true(wait_for(&fixture->n_seen, 2));
    assert_string_equal(fixture->seen[1].body, "cancel 1"); /* exclusive queues go on */
    settle(fixture, 0, RW_SETTLE_ACK);                      /* settling too */
    pause_ms(200);
    assert_int_equal(fixture->n_seen, 2);
    stop_consumer(fixture);
    start_consumer(fixture, subscriptions, 1);
    assert_true(wait_for(&fixture->n_seen, 3));
    assert_string_equal(fixture->seen[2].body, "task-2");
    pause_ms(100);
    assert_int_equal(fixture->n_seen, 3);
}

static void what_was_on_its_way_at_cancel_is_given_back(void **state)
{
    struct fixture *fixture = *state;
    enum { N = 10000 };
    start_publisher(fixture, N);
    for (unsigned i = 0; i < N; i++) {
        publish_task(fixture, i);
    }
    assert_true(wait_outcomes(fixture, N));
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 2 * N};
    start_consumer(fixture, &subscription, 1);
    assert_true(wait_for(&fixture->n_seen, 1));
    rw_amqp_consumer_cancel(fixture->consumer);
    pause_ms(300);
    unsigned n_seen = atomic_load(&fixture->n_seen);
    print_message("%u of %d were delivered before the cancel\n", n_seen, N);
    struct rw_amqp_consumer *draining = rw_take(fixture->consumer); /* holds what it has seen */
    atomic_store(&fixture->n_connected, 0);
    start_consumer(fixture, &subscription, 1);
    assert_true(wait_for(&fixture->n_seen, N));
    pause_ms(100);
    assert_int_equal(fixture->n_seen, N);
    rw_amqp_consumer_stop(draining);
}

static void stop_sends_the_last_settlements(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 100);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 50};
    start_consumer(fixture, &subscription, 1);
    for (unsigned i = 0; i < 50; i++) {
        publish_task(fixture, i);
    }
    assert_true(wait_for(&fixture->n_seen, 50));
    for (unsigned i = 0; i < 50; i++) {
        settle(fixture, i, RW_SETTLE_ACK);
    }
    stop_consumer(fixture);
    start_consumer(fixture, &subscription, 1);
    pause_ms(300);
    assert_int_equal(fixture->n_seen, 50);
}

/* ---- bounds, refusals, failures ---- */

static void a_full_queue_overloads(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 10);
    unsigned n_accepted = 0;
    struct rw_error err = {.code = RW_OK};
    while (n_accepted < 100000 && publish(fixture, RW_EXCHANGE_EVENTS, "x", "x", &err) == 0) {
        n_accepted++;
    }
    assert_int_equal(err.code, RW_ERR_OVERLOADED);
    assert_true(n_accepted >= 10);
    assert_true(wait_outcomes(fixture, n_accepted));
    assert_int_equal(publish(fixture, RW_EXCHANGE_EVENTS, "x", "x", &err), 0); /* room again */
}

static void a_full_broker_queue_refuses(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 100);
    struct rw_config_broker config = broker_config();
    amqp_connection_state_t conn = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(conn);
    assert_int_equal(amqp_socket_open(socket, config.host, (int)config.port), AMQP_STATUS_OK);
    amqp_rpc_reply_t reply = amqp_login(conn, config.vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, config.user, broker_password());
    assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
    (void)amqp_channel_open(conn, 1);
    amqp_table_entry_t entries[] = {
        {.key = amqp_cstring_bytes("x-max-length"), .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 2}},
        {.key = amqp_cstring_bytes("x-overflow"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("reject-publish")}},
    };
    const amqp_table_t arguments = {.num_entries = 2, .entries = entries};
    assert_non_null(amqp_queue_declare(conn, 1, amqp_cstring_bytes("services.full"), 0, 0, 1, 1, arguments));
    assert_non_null(amqp_queue_bind(conn, 1, amqp_cstring_bytes("services.full"), amqp_cstring_bytes(RW_EXCHANGE_EVENTS),
                                    amqp_cstring_bytes("full"), amqp_empty_table));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(publish(fixture, RW_EXCHANGE_EVENTS, "full", "x", NULL), 0);
    }
    assert_true(wait_outcomes(fixture, 10));
    assert_true(fixture->outcomes[RW_PUBLISH_CONFIRMED] >= 2);
    assert_true(fixture->outcomes[RW_PUBLISH_REFUSED] >= 5);
    assert_int_equal(fixture->outcomes[RW_PUBLISH_UNKNOWN], 0);
    (void)amqp_destroy_connection(conn);
}

static void an_unknown_exchange_breaks_and_heals(void **state)
{
    struct fixture *fixture = *state;
    start_publisher(fixture, 100);
    assert_int_equal(publish(fixture, "runwave.nowhere", "x", "x", NULL), 0); /* the broker closes the channel */
    assert_true(wait_outcomes(fixture, 1));
    assert_int_equal(fixture->outcomes[RW_PUBLISH_UNKNOWN], 1);
    char error[RW_ERROR_MESSAGE_BYTES];
    rw_amqp_publisher_last_error(fixture->publisher, error);
    assert_non_null(strstr(error, "NOT_FOUND"));
    int64_t deadline_ms = rw_monotonic_ms() + patience_ms();
    struct rw_error err = {.code = RW_OK};
    while (publish(fixture, RW_EXCHANGE_EVENTS, "x", "x", &err) != 0 && rw_monotonic_ms() < deadline_ms) {
        assert_int_equal(err.code, RW_ERR_UNAVAILABLE);
        pause_ms(5);
    }
    assert_true(wait_outcomes(fixture, 2));
    assert_int_equal(fixture->outcomes[RW_PUBLISH_CONFIRMED], 1);
}

static void a_wrong_password_is_told_without_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.password = "hunter2-hunter2";
    struct rw_error err;
    assert_int_equal(rw_amqp_publisher_start(new_options(fixture), 10, &fixture->publisher, &err), 0);
    char error[RW_ERROR_MESSAGE_BYTES] = "";
    int64_t deadline_ms = rw_monotonic_ms() + patience_ms();
    while (error[0] == '\0' && rw_monotonic_ms() < deadline_ms) {
        pause_ms(10);
        rw_amqp_publisher_last_error(fixture->publisher, error);
    }
    assert_non_null(strstr(error, "ACCESS_REFUSED"));
    assert_null(strstr(error, "hunter2"));
    assert_int_equal(publish(fixture, RW_EXCHANGE_EVENTS, "x", "x", &err), -1);
    assert_int_equal(err.code, RW_ERR_UNAVAILABLE);
}

static void an_idle_connection_keeps_its_heartbeat(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.heartbeat_s = 1;
    start_publisher(fixture, 10);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5};
    start_consumer(fixture, &subscription, 1);
    for (int i = 0; i < 50; i++) {
        pause_ms(100);
        assert_true(rw_amqp_publisher_is_connected(fixture->publisher));
        assert_int_equal(fixture->n_disconnected, 0);
    }
}

static void stop_drains_first(void **state)
{
    struct fixture *fixture = *state;
    enum { N = 3000 };
    start_publisher(fixture, N);
    for (unsigned i = 0; i < N; i++) {
        publish_task(fixture, i);
    }
    rw_amqp_publisher_stop(rw_take(fixture->publisher), patience_ms());
    assert_int_equal(fixture->outcomes[RW_PUBLISH_CONFIRMED], N);
}

static void stop_without_time_tells_everybody(void **state)
{
    struct fixture *fixture = *state;
    enum { N = 3000 };
    start_publisher(fixture, N);
    for (unsigned i = 0; i < N; i++) {
        publish_task(fixture, i);
    }
    rw_amqp_publisher_stop(rw_take(fixture->publisher), 0);
    assert_int_equal(n_outcomes(fixture), N);
}

static void stop_does_not_wait_for_an_absent_broker(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.host = (char *)(uintptr_t) "192.0.2.1"; /* nobody answers there */
    struct rw_error err;
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 5};
    const struct rw_amqp_consumer_callbacks callbacks = {.delivered = on_delivered, .arg = fixture};
    assert_int_equal(rw_amqp_publisher_start(new_options(fixture), 10, &fixture->publisher, &err), 0);
    assert_int_equal(rw_amqp_consumer_start(new_options(fixture), &subscription, 1, &callbacks, &fixture->consumer, &err), 0);
    pause_ms(300);
    int64_t begin_ms = rw_monotonic_ms();
    rw_amqp_publisher_stop(rw_take(fixture->publisher), 60000);
    rw_amqp_consumer_stop(rw_take(fixture->consumer));
    assert_true(rw_monotonic_ms() - begin_ms < 7000);
}

/* ---- many at once ---- */

struct publishing {
    struct fixture *fixture;
    unsigned n;
};

static void *publish_many(void *arg)
{
    struct publishing *publishing = arg;
    for (unsigned i = 0; i < publishing->n; i++) {
        publish_task(publishing->fixture, i);
    }
    return NULL;
}

static void threads_publish_and_settle_together(void **state)
{
    struct fixture *fixture = *state;
    enum { THREADS = 4, EACH = 2000 };
    start_publisher(fixture, THREADS * EACH);
    const struct rw_amqp_subscription subscription = {.queue = task_queue(RW_PRIORITY_NORMAL), .prefetch = 200};
    start_consumer(fixture, &subscription, 1);
    fixture->acks_at_once = true;
    struct publishing publishing = {.fixture = fixture, .n = EACH};
    pthread_t threads[THREADS];
    int64_t begin_us = rw_monotonic_us();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, publish_many, &publishing), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_true(wait_outcomes(fixture, THREADS * EACH));
    assert_true(wait_for(&fixture->n_seen, THREADS * EACH));
    print_message("%d messages published, confirmed, delivered, acked in %lld ms\n", THREADS * EACH,
                  (long long)(rw_monotonic_us() - begin_us) / 1000);
    assert_int_equal(fixture->outcomes[RW_PUBLISH_CONFIRMED], THREADS * EACH);
    pause_ms(100);
    assert_int_equal(fixture->n_seen, THREADS * EACH);
}

static void many_programs_may_declare_at_once(void **state)
{
    struct fixture *fixture = *state;
    enum { PROGRAMS = 6 };
    char names[6][32];
    const char *many[6];
    for (int i = 0; i < 6; i++) { /* new at every run, as on a broker's first start */
        (void)snprintf(names[i], sizeof(names[i]), "first-%d-%llx", i, (unsigned long long)rw_realtime_us());
        many[i] = names[i];
    }
    fixture->options.languages = many;
    fixture->options.n_languages = 6;
    struct rw_amqp_publisher *publishers[PROGRAMS];
    for (int i = 0; i < PROGRAMS; i++) {
        assert_int_equal(rw_amqp_publisher_start(new_options(fixture), 10, &publishers[i], NULL), 0);
    }
    int64_t begin_ms = rw_monotonic_ms();
    unsigned n_connected = 0;
    while (n_connected < PROGRAMS && rw_monotonic_ms() - begin_ms < 3 * (int64_t)patience_ms()) {
        pause_ms(10);
        n_connected = 0;
        for (int i = 0; i < PROGRAMS; i++) {
            n_connected += rw_amqp_publisher_is_connected(publishers[i]);
        }
    }
    print_message("%d programs declared 18 queues in %lld ms\n", PROGRAMS, (long long)(rw_monotonic_ms() - begin_ms));
    for (int i = 0; i < PROGRAMS; i++) {
        char error[RW_ERROR_MESSAGE_BYTES];
        rw_amqp_publisher_last_error(publishers[i], error);
        if (error[0]) {
            print_message("on the way: %s\n", error);
        }
        rw_amqp_publisher_stop(publishers[i], 0);
    }
    assert_int_equal(n_connected, PROGRAMS);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    purge();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_arrives_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(large_and_empty_bodies_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(what_no_queue_takes_is_returned, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_nobody_hears_is_confirmed, setup, teardown),
        cmocka_unit_test_setup_teardown(events_come_by_pattern, setup, teardown),
        cmocka_unit_test_setup_teardown(prefetch_bounds_what_is_out, setup, teardown),
        cmocka_unit_test_setup_teardown(one_slow_delivery_holds_up_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_given_back_comes_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_dead_goes_to_the_dead_letters, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_settlements_do_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(after_cancel_nothing_new_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_on_its_way_at_cancel_is_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_sends_the_last_settlements, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_overloads, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_broker_queue_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_exchange_breaks_and_heals, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_password_is_told_without_it, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_connection_keeps_its_heartbeat, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_drains_first, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_without_time_tells_everybody, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_does_not_wait_for_an_absent_broker, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_publish_and_settle_together, setup, teardown),
        cmocka_unit_test_setup_teardown(many_programs_may_declare_at_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("amqp", tests, NULL, NULL);
}
