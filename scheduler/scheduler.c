/* The scheduler: one struct owns the parts, one loop runs them; only the AMQP threads and the health server stand beside it, and
 * both hand over by mailbox and by atomics.
 *
 * Start: nothing has to be there. The migrations run first, tried again until the database is up; only then are the store opened
 * and the queues consumed. Each part reconnects by itself.
 * Drain: no new deliveries; attempts without a runner give their task back; running ones may finish. Near the end of the drain
 * time those still running are given up as lost, so that another scheduler takes them at once.
 * Close: in the order of who calls whom, so that nothing calls into what is gone. */
#include "scheduler.h"

#include <stdio.h>
#include <unistd.h>

#include <rw/clock.h>
#include <rw/log.h>
#include <rw/random.h>

#include "attempt.h"
#include "dead_letters.h"
#include "deliveries.h"
#include "migration.h"
#include "renewals.h"
#include "sweep.h"

enum {
    PUBLISH_QUEUE_MAX = 4096,
    PUBLISH_DRAIN_MS = 1000,
    HTTP_DRAIN_MS = 200,
    WATCH_MS = 250,
    DRAIN_STEP_MS = 20,
    DRAIN_RESERVE_MS = 2000, /* for recording what was given up */
    OWNER_BYTES = 128,
};

struct scheduler {
    uv_loop_t *loop;
    const struct scheduler_config *config;
    char *database_password;
    char *broker_password;
    char *pod_manager_token;
    struct rw_catalogue *catalogue;
    const char **languages;
    char owner[OWNER_BYTES];
    struct scheduler_metrics *metrics;
    struct rw_health *health;
    struct rw_http_server *http;
    struct rw_mailbox *mailbox;
    struct rw_amqp_options amqp;
    struct rw_amqp_publisher *publisher;
    struct events *events;
    struct leases *leases;
    struct migration *migration; /* NULL when it is done */
    struct hand *hand;
    struct attempt_context attempts;
    struct store *store; /* from here: NULL until the migrations are done */
    struct renewals *renewals;
    struct sweep *sweep;
    struct dead_letters *dead_letters;
    struct deliveries *deliveries;
    uv_timer_t watch_timer;
    uv_timer_t drain_timer;
    bool is_consuming; /* the consumer is connected */
    bool is_draining;
    bool has_given_up;
    bool is_closing;
    int64_t drain_until_ms;
};

/* ---- tasks in hand ---- */

static void show_load(struct scheduler *scheduler)
{
    rw_gauge_set(scheduler->metrics->in_flight, scheduler->hand->policy.in_flight);
    rw_gauge_set(scheduler->metrics->waiting, (int64_t)scheduler->hand->n_waiting);
}

static void start_next(struct scheduler *scheduler)
{
    struct hand_task *task = NULL;
    while (!scheduler->is_draining && !scheduler->is_closing && (task = hand_next(scheduler->hand))) {
        task->attempt = attempt_start(&scheduler->attempts, &task->id, task->language, task);
    }
    show_load(scheduler);
}

static void on_pod(void *owner, struct attempt *attempt, bool has_pod)
{
    struct scheduler *scheduler = owner;
    hand_set_pod(scheduler->hand, attempt_subject(attempt), has_pod);
    start_next(scheduler);
}

static void on_over(void *owner, struct attempt *attempt, bool is_settled)
{
    struct scheduler *scheduler = owner;
    struct hand_task *task = attempt_subject(attempt);
    if (is_settled) {
        deliveries_ack(scheduler->deliveries, &task->delivery);
    }
    (void)hand_remove(scheduler->hand, task);
    start_next(scheduler);
}

static void on_task(void *arg, const struct rw_uuid *id, size_t language, enum rw_priority priority, const struct delivery_ref *ref)
{
    struct scheduler *scheduler = arg;
    if (scheduler->is_draining && !hand_find(scheduler->hand, id)) {
        return; /* unsettled: the broker gives it to somebody else when we are gone */
    }
    switch (hand_offer(scheduler->hand, id, language, priority, ref)) {
    case HAND_KEPT:
        start_next(scheduler);
        break;
    case HAND_RENEWED:
        rw_counter_add(scheduler->metrics->redelivered, 1);
        break;
    case HAND_LATER:
        break;
    case HAND_DUPLICATE:
        rw_counter_add(scheduler->metrics->duplicates, 1);
        deliveries_ack(scheduler->deliveries, ref);
        break;
    }
}

static void on_dead(void *arg, const struct rw_uuid *id, const struct delivery_ref *ref)
{
    struct scheduler *scheduler = arg;
    dead_letters_take(scheduler->dead_letters, scheduler->deliveries, id, ref);
}

static void on_broker(void *arg, bool is_connected)
{
    struct scheduler *scheduler = arg;
    char why[RW_ERROR_MESSAGE_BYTES] = "";
    deliveries_last_error(scheduler->deliveries, why);
    rw_log(is_connected ? RW_LOG_INFO : RW_LOG_WARNING, is_connected ? "consuming" : "connection to the broker lost",
           RW_LOG_STR("error_message", is_connected ? NULL : why), RW_LOG_INT("in_flight", scheduler->hand->policy.in_flight));
    scheduler->is_consuming = is_connected;
    if (!is_connected) {
        hand_disconnected(scheduler->hand);
        show_load(scheduler);
    }
}

/* ---- health ---- */

static void on_database(void *arg, bool is_connected)
{
    struct scheduler *scheduler = arg;
    rw_log(is_connected ? RW_LOG_INFO : RW_LOG_WARNING, is_connected ? "database is up" : "connection to the database lost");
    rw_health_set(scheduler->health, "database", is_connected, is_connected ? NULL : store_last_error(scheduler->store));
    if (is_connected && !scheduler->is_closing) {
        renewals_now(scheduler->renewals);
        sweep_database_up(scheduler->sweep);
    }
}

static void on_pod_manager(void *arg, bool is_answering)
{
    struct scheduler *scheduler = arg;
    rw_log(is_answering ? RW_LOG_INFO : RW_LOG_WARNING, is_answering ? "pod-manager answers" : "pod-manager does not answer");
    rw_health_set(scheduler->health, "pod-manager", is_answering, is_answering ? NULL : "no answer");
}

/* The AMQP threads do not tell when their connections come and go, apart from the consumer's; so they are looked at. */
static void on_watch(uv_timer_t *timer)
{
    struct scheduler *scheduler = timer->data;
    bool is_publishing = rw_amqp_publisher_is_connected(scheduler->publisher);
    char why[RW_ERROR_MESSAGE_BYTES] = "starting";
    if (!is_publishing) {
        rw_amqp_publisher_last_error(scheduler->publisher, why);
    } else if (scheduler->deliveries) {
        deliveries_last_error(scheduler->deliveries, why);
    }
    rw_health_set(scheduler->health, "broker", scheduler->is_consuming && is_publishing, why);
}

static void reply_alive(void *ctx, struct rw_http_request *request)
{
    (void)ctx;
    rw_health_reply_alive(request);
}

static void reply_ready(void *ctx, struct rw_http_request *request)
{
    rw_health_reply_ready(((struct scheduler *)ctx)->health, request);
}

static void reply_metrics(void *ctx, struct rw_http_request *request)
{
    rw_metrics_reply(((struct scheduler *)ctx)->metrics->registry, request);
}

static const struct rw_http_route routes[] = {
    {"GET", "/healthz", 0, reply_alive},
    {"GET", "/readyz", 0, reply_ready},
    {"GET", "/metrics", 0, reply_metrics},
};

/* ---- start ---- */

static int open_store(struct scheduler *scheduler, struct rw_error *err)
{
    if (store_open(scheduler->loop, scheduler->config, scheduler->database_password, scheduler->owner, scheduler->metrics->registry,
                   on_database, scheduler, &scheduler->store, err) < 0) {
        return -1;
    }
    scheduler->attempts.store = scheduler->store;
    scheduler->renewals = renewals_start(scheduler->loop, scheduler->config, scheduler->hand, scheduler->store);
    scheduler->dead_letters = dead_letters_new(scheduler->loop, scheduler->store, scheduler->events, scheduler->metrics);
    const struct sweep_options sweep = {
        .loop = scheduler->loop,
        .config = scheduler->config,
        .catalogue = scheduler->catalogue,
        .store = scheduler->store,
        .publisher = scheduler->publisher,
        .mailbox = scheduler->mailbox,
        .events = scheduler->events,
        .metrics = scheduler->metrics,
    };
    scheduler->sweep = sweep_start(&sweep);
    const struct deliveries_options deliveries = {
        .amqp = &scheduler->amqp,
        .catalogue = scheduler->catalogue,
        .prefetch = (uint16_t)scheduler->config->prefetch,
        .mailbox = scheduler->mailbox,
        .metrics = scheduler->metrics,
        .callbacks = {.task = on_task, .dead = on_dead, .connection = on_broker, .arg = scheduler},
    };
    return deliveries_start(&deliveries, &scheduler->deliveries, err);
}

static void on_migrated(void *arg)
{
    struct scheduler *scheduler = arg;
    scheduler->migration = NULL;
    if (scheduler->is_draining) {
        return;
    }
    struct rw_error err;
    if (open_store(scheduler, &err) < 0) {
        rw_log_error(RW_LOG_ERROR, "cannot go on", &err);
        abort(); /* out of descriptors or threads at start: the supervisor tries again */
    }
}

static void on_migration_failed(void *arg, const struct rw_error *err)
{
    struct scheduler *scheduler = arg;
    rw_log_error(RW_LOG_WARNING, "database not ready", err);
    rw_health_set(scheduler->health, "database", false, err->message);
}

static int load_secrets(struct scheduler *scheduler, struct rw_error *err)
{
    const struct scheduler_config *config = scheduler->config;
    return rw_secret_load("RUNWAVE_DATABASE_PASSWORD", config->database.password_file, &scheduler->database_password, err) < 0 ||
                   rw_secret_load("RUNWAVE_BROKER_PASSWORD", config->broker.password_file, &scheduler->broker_password, err) < 0 ||
                   rw_secret_load("RUNWAVE_POD_MANAGER_TOKEN", config->pod_manager.token_file, &scheduler->pod_manager_token, err) <
                       0
               ? -1
               : 0;
}

static void name_owner(struct scheduler *scheduler)
{
    char host[64] = "";
    uint64_t random = 0;
    (void)gethostname(host, sizeof(host) - 1);
    rw_random_bytes(&random, sizeof(random));
    (void)snprintf(scheduler->owner, sizeof(scheduler->owner), "%s/%d/%016llx", host, (int)getpid(), (unsigned long long)random);
}

static int load(struct scheduler *scheduler, struct rw_error *err)
{
    if (load_secrets(scheduler, err) < 0 || rw_catalogue_load(scheduler->config->languages_dir, &scheduler->catalogue, err) < 0) {
        return -1;
    }
    size_t n = rw_catalogue_count(scheduler->catalogue);
    scheduler->languages = rw_xcalloc(n + 1, sizeof(*scheduler->languages));
    for (size_t i = 0; i < n; i++) {
        scheduler->languages[i] = rw_catalogue_at(scheduler->catalogue, i)->id;
    }
    name_owner(scheduler);
    scheduler->metrics = scheduler_metrics_new(scheduler->catalogue);
    scheduler->health = rw_health_new();
    rw_health_set(scheduler->health, "database", false, "starting");
    rw_health_set(scheduler->health, "broker", false, "starting");
    rw_health_set(scheduler->health, "pod-manager", false, "starting");
    scheduler->hand = hand_new(n, scheduler->config->running_max, scheduler->config->leasing_max);
    scheduler->amqp = (struct rw_amqp_options){
        .config = &scheduler->config->broker,
        .password = scheduler->broker_password,
        .connection_name = "runwave-scheduler",
        .languages = scheduler->languages,
        .n_languages = n,
        .metrics = scheduler->metrics->registry,
    };
    return 0;
}

static int open_services(struct scheduler *scheduler, struct rw_error *err)
{
    const struct rw_http_server_options http = {
        .config = &scheduler->config->http,
        .routes = routes,
        .n_routes = RW_ARRAY_SIZE(routes),
        .ctx = scheduler,
        .metrics = scheduler->metrics->registry,
    };
    if (rw_mailbox_open(scheduler->loop, &scheduler->mailbox, err) < 0 || rw_http_server_start(&http, &scheduler->http, err) < 0 ||
        leases_open(scheduler->loop, scheduler->config, scheduler->pod_manager_token, on_pod_manager, scheduler, &scheduler->leases,
                    err) < 0 ||
        rw_amqp_publisher_start(&scheduler->amqp, PUBLISH_QUEUE_MAX, &scheduler->publisher, err) < 0) {
        return -1;
    }
    scheduler->events = events_new(scheduler->loop, scheduler->publisher, scheduler->mailbox, scheduler->metrics);
    scheduler->attempts = (struct attempt_context){
        .loop = scheduler->loop,
        .config = scheduler->config,
        .leases = scheduler->leases,
        .events = scheduler->events,
        .metrics = scheduler->metrics,
        .pod = on_pod,
        .over = on_over,
        .owner = scheduler,
    };
    return 0;
}

static int scheduler_start(uv_loop_t *loop, void *config, void **ret_daemon, struct rw_error *err)
{
    struct scheduler *scheduler = rw_xcalloc(1, sizeof(*scheduler));
    scheduler->loop = loop;
    scheduler->config = config;
    if (load(scheduler, err) < 0 || open_services(scheduler, err) < 0) {
        return -1; /* the process ends */
    }
    (void)uv_timer_init(loop, &scheduler->watch_timer);
    (void)uv_timer_init(loop, &scheduler->drain_timer);
    scheduler->watch_timer.data = scheduler;
    scheduler->drain_timer.data = scheduler;
    (void)uv_timer_start(&scheduler->watch_timer, on_watch, 0, WATCH_MS);
    const struct migration_callbacks callbacks = {.done = on_migrated, .failed = on_migration_failed, .arg = scheduler};
    scheduler->migration = migration_start(loop, &scheduler->config->database, scheduler->database_password, &callbacks);
    *ret_daemon = scheduler;
    return 0;
}

/* ---- drain, close ---- */

static void for_each_attempt(struct scheduler *scheduler, void (*visit)(struct attempt *))
{
    struct hand_task *task;
    struct hand_task *next;
    HASH_ITER(hh, scheduler->hand->tasks, task, next)
    {
        if (task->attempt) {
            visit(task->attempt);
        }
    }
}

static void on_drain_step(uv_timer_t *timer)
{
    struct scheduler *scheduler = timer->data;
    int64_t left_ms = scheduler->drain_until_ms - rw_monotonic_ms();
    size_t n_open = scheduler->hand->policy.in_flight + leases_pending(scheduler->leases);
    if (n_open == 0 || left_ms <= 0) {
        rw_log(n_open == 0 ? RW_LOG_INFO : RW_LOG_WARNING, n_open == 0 ? "drained" : "drain time is over",
               RW_LOG_INT("in_flight", scheduler->hand->policy.in_flight));
        (void)uv_timer_stop(timer);
        rw_daemon_drained(scheduler->loop);
        return;
    }
    int64_t reserve_ms = scheduler->config->drain_ms / 4 < DRAIN_RESERVE_MS ? scheduler->config->drain_ms / 4 : DRAIN_RESERVE_MS;
    if (left_ms <= reserve_ms && !scheduler->has_given_up) {
        scheduler->has_given_up = true;
        for_each_attempt(scheduler, attempt_give_up);
    }
}

static void scheduler_drain(void *daemon)
{
    struct scheduler *scheduler = daemon;
    scheduler->is_draining = true;
    scheduler->drain_until_ms = rw_monotonic_ms() + scheduler->config->drain_ms;
    rw_health_set(scheduler->health, "running", false, "draining");
    deliveries_cancel(scheduler->deliveries);
    hand_drop_waiting(scheduler->hand);
    for_each_attempt(scheduler, attempt_drain);
    (void)uv_timer_start(&scheduler->drain_timer, on_drain_step, 0, DRAIN_STEP_MS);
}

static void scheduler_close(void *daemon)
{
    struct scheduler *scheduler = daemon;
    scheduler->is_closing = true;
    migration_close(rw_take(scheduler->migration));
    deliveries_stop(scheduler->deliveries);
    store_close(rw_take(scheduler->store));
    for_each_attempt(scheduler, attempt_abandon);
    rw_amqp_publisher_stop(scheduler->publisher, PUBLISH_DRAIN_MS);
    renewals_close(scheduler->renewals);
    sweep_close(scheduler->sweep);
    dead_letters_close(scheduler->dead_letters);
    events_close(scheduler->events);
    leases_close(scheduler->leases);
    rw_mailbox_close(scheduler->mailbox);
    rw_http_server_stop(scheduler->http, HTTP_DRAIN_MS);
    uv_close((uv_handle_t *)&scheduler->watch_timer, NULL);
    uv_close((uv_handle_t *)&scheduler->drain_timer, NULL);
}

static void scheduler_free(void *daemon)
{
    struct scheduler *scheduler = daemon;
    deliveries_free(scheduler->deliveries);
    hand_free(scheduler->hand);
    rw_health_free(scheduler->health);
    scheduler_metrics_free(scheduler->metrics);
    rw_catalogue_free(scheduler->catalogue);
    free(scheduler->languages);
    rw_secret_free(scheduler->database_password);
    rw_secret_free(scheduler->broker_password);
    rw_secret_free(scheduler->pod_manager_token);
    free(scheduler);
}

const struct rw_daemon scheduler_daemon = {
    .name = "scheduler",
    .schema = &scheduler_config_schema,
    .log_offset = offsetof(struct scheduler_config, log),
    .prepare = scheduler_config_prepare,
    .start = scheduler_start,
    .drain = scheduler_drain,
    .close = scheduler_close,
    .free_daemon = scheduler_free,
};
