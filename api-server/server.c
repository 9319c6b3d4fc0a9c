/* The api-server's life: start, drain, close.
 *
 * Draining: no more connections; who waits is answered, with what there is when the drain time is almost over; then the HTTP threads,
 * the consumer and the publisher are stopped, in this order, each with nothing left to do that the one before could still ask of it; then
 * the last confirmed publishes are marked. Stopping those threads blocks the loop for a moment, when nobody needs it any more. */
#include <stdlib.h>

#include <rw/clock.h>
#include <rw/log.h>

#include "api.h"
#include "events.h"
#include "handlers.h"
#include "outbox.h"
#include "store.h"
#include "waiters.h"

enum {
    MIGRATE_TIMEOUT_MS = 30000,
    PG_QUEUE_MAX = 20000,
    PUBLISH_QUEUE_MAX = 20000,
    DRAIN_PERIOD_MS = 20,
    DRAIN_ANSWER_MS = 1000, /* before the drain's end, for the last answers */
    HTTP_STOP_MS = 200,
    PUBLISHER_STOP_MS = 2000,
    FLUSH_MS = 1000,
};

/* ---- requests the loop answers ---- */

void api_request_post(struct api *api, struct rw_mail *mail)
{
    (void)atomic_fetch_add(&api->n_requests, 1);
    rw_mailbox_post(api->mailbox, mail);
}

void api_reply_content(struct api *api, struct rw_http_request *request, int status, struct rw_http_content *content)
{
    rw_http_reply_content(request, status, "application/json", content);
    (void)atomic_fetch_sub(&api->n_requests, 1);
}

void api_reply_json(struct api *api, struct rw_http_request *request, int status, cJSON *json)
{
    rw_http_reply_json(request, status, json);
    (void)atomic_fetch_sub(&api->n_requests, 1);
}

void api_reply_error(struct api *api, struct rw_http_request *request, const struct rw_error *err)
{
    rw_http_reply_error(request, err, NULL);
    (void)atomic_fetch_sub(&api->n_requests, 1);
}

void api_database_error(const struct rw_error *err, struct rw_error *ret_told)
{
    if (err->code == RW_ERR_CANCELLED) {
        *ret_told = *err;
        return;
    }
    rw_log_error(RW_LOG_WARNING, "the database did not serve a request", err);
    enum rw_err code = rw_err_is_retryable(err->code) ? RW_ERR_UNAVAILABLE : RW_ERR_INTERNAL;
    (void)rw_error_set(ret_told, code, 0, __func__, "the database is not available");
}

/* ---- start ---- */

static int load_secrets(struct api *api, struct rw_error *err)
{
    const struct api_config *config = api->config;
    if (rw_secret_load("RUNWAVE_DATABASE_PASSWORD", config->database.password_file, &api->database_password, err) ||
        rw_secret_load("RUNWAVE_BROKER_PASSWORD", config->broker.password_file, &api->broker_password, err)) {
        return -1;
    }
    bool has_token = config->token_file || getenv("RUNWAVE_API_TOKEN");
    return has_token ? rw_secret_load("RUNWAVE_API_TOKEN", config->token_file, &api->token, err) : 0;
}

static int load_catalogue(struct api *api, struct rw_error *err)
{
    if (rw_catalogue_load(api->config->languages_dir, &api->catalogue, err)) {
        return -1;
    }
    size_t n_languages = rw_catalogue_count(api->catalogue);
    api->language_ids = rw_xcalloc(n_languages + 1, sizeof(*api->language_ids));
    for (size_t i = 0; i < n_languages; i++) {
        api->language_ids[i] = rw_catalogue_at(api->catalogue, i)->id;
    }
    api->languages_text = handlers_languages_text(api->catalogue, &api->languages_len);
    return 0;
}

static void on_database_state(void *arg, bool is_connected)
{
    struct api *api = arg;
    rw_health_set(api->health, "database", is_connected, "no connection");
    rw_log(is_connected ? RW_LOG_INFO : RW_LOG_WARNING, is_connected ? "database connected" : "database disconnected");
}

static int start_database(struct api *api, struct rw_error *err)
{
    unsigned applied = 0;
    if (rw_pg_migrate(&api->config->database, api->database_password, MIGRATE_TIMEOUT_MS, &applied, err)) {
        return rw_error_wrap(err, "migrations");
    }
    rw_log(RW_LOG_INFO, "migrations applied", RW_LOG_INT("count", applied));
    const struct rw_pg_options options = {
        .config = &api->config->database,
        .password = api->database_password,
        .application_name = "runwave-api",
        .statements = store_statements,
        .n_statements = _STORE_MAX,
        .queue_max = PG_QUEUE_MAX,
        .metrics = api->registry,
        .on_state = on_database_state,
        .arg = api,
    };
    return rw_pg_open(api->loop, &options, &api->pg, err);
}

static int start_broker(struct api *api, struct rw_error *err)
{
    const struct rw_amqp_options publisher = {
        .config = &api->config->broker,
        .password = api->broker_password,
        .connection_name = "runwave-api publisher",
        .languages = api->language_ids,
        .n_languages = rw_catalogue_count(api->catalogue),
        .metrics = api->registry,
    };
    struct rw_amqp_options events = publisher;
    events.connection_name = "runwave-api events";
    return rw_amqp_publisher_start(&publisher, PUBLISH_QUEUE_MAX, &api->publisher, err) || events_start(api, &events, err) ? -1 : 0;
}

static int start_http(struct api *api, struct rw_error *err)
{
    struct rw_http_server_options options = {
        .config = &api->config->http,
        .ctx = api,
        .metrics = api->registry,
        .bearer_token = api->token,
    };
    api->routes = handlers_routes(api, &options.n_routes);
    options.routes = api->routes;
    if (rw_http_server_start(&options, &api->http, err)) {
        return -1;
    }
    rw_log(RW_LOG_INFO, "listening", RW_LOG_STR("address", api->config->http.listen),
           RW_LOG_INT("port", rw_http_server_port(api->http)));
    return 0;
}

static int start(uv_loop_t *loop, void *config, void **ret_daemon, struct rw_error *err)
{
    struct api *api = rw_xcalloc(1, sizeof(*api));
    *ret_daemon = api;
    api->loop = loop;
    api->config = config;
    api->registry = rw_metrics_new();
    api->health = rw_health_new();
    api->drain_timer.data = api;
    rw_health_set(api->health, "database", false, "no connection");
    if (load_secrets(api, err) || load_catalogue(api, err)) {
        return -1;
    }
    api_metrics_init(api);
    if (rw_mailbox_open(loop, &api->mailbox, err) || start_database(api, err) || outbox_open(api, &api->outbox, err) ||
        waiters_open(api, &api->waiters, err) || start_broker(api, err) || start_http(api, err)) {
        return -1;
    }
    int failed = uv_timer_init(loop, &api->drain_timer);
    return failed ? rw_fail_sys(err, INTERNAL, -failed, "uv_timer_init") : 0;
}

/* ---- drain and close ---- */

static void stop_threads(struct api *api)
{
    rw_http_server_stop(api->http, HTTP_STOP_MS);
    rw_amqp_consumer_stop(api->consumer);
    rw_amqp_publisher_stop(api->publisher, PUBLISHER_STOP_MS);
}

static void on_drain_timer(uv_timer_t *timer)
{
    struct api *api = timer->data;
    int64_t now_ms = rw_monotonic_ms();
    size_t n_requests = atomic_load(&api->n_requests);

    if (api->drain_flush_ms != 0) {
        if (!outbox_flush(api->outbox) || now_ms >= api->drain_flush_ms) {
            (void)uv_timer_stop(timer);
            rw_daemon_drained(api->loop);
        }
        return;
    }
    if (n_requests > 0 && now_ms >= api->drain_expire_ms) {
        api->drain_expire_ms = INT64_MAX;
        waiters_expire_all(api->waiters);
    }
    if (n_requests == 0 || now_ms >= api->drain_end_ms) {
        rw_log(RW_LOG_INFO, "stopping threads", RW_LOG_INT("unanswered", n_requests));
        stop_threads(api);
        api->drain_flush_ms = rw_monotonic_ms() + FLUSH_MS;
    }
}

static void drain(void *daemon)
{
    struct api *api = daemon;
    int64_t now_ms = rw_monotonic_ms();
    uint32_t drain_ms = api->config->drain_ms;

    rw_health_set(api->health, "running", false, "being stopped");
    rw_http_server_quiesce(api->http);
    api->drain_end_ms = now_ms + drain_ms;
    api->drain_expire_ms = api->drain_end_ms - (drain_ms > 2 * DRAIN_ANSWER_MS ? DRAIN_ANSWER_MS : drain_ms / 2);
    (void)uv_timer_start(&api->drain_timer, on_drain_timer, DRAIN_PERIOD_MS, DRAIN_PERIOD_MS);
}

static void close_all(void *daemon)
{
    struct api *api = daemon;
    rw_mailbox_close(api->mailbox);
    rw_pg_close(api->pg);
    waiters_close(api->waiters);
    outbox_close(api->outbox);
    uv_close((uv_handle_t *)&api->drain_timer, NULL);
}

static void free_api(void *daemon)
{
    struct api *api = daemon;
    rw_secret_free(api->database_password);
    rw_secret_free(api->broker_password);
    rw_secret_free(api->token);
    rw_health_free(api->health);
    rw_metrics_free(api->registry);
    rw_catalogue_free(api->catalogue);
    free(api->metrics.submitted);
    free(api->language_ids);
    free(api->languages_text);
    free(api->routes);
    free(api);
}

const struct rw_daemon api_daemon = {
    .name = "api-server",
    .schema = &api_config_schema,
    .log_offset = offsetof(struct api_config, log),
    .prepare = api_config_prepare,
    .start = start,
    .drain = drain,
    .close = close_all,
    .free_daemon = free_api,
};
