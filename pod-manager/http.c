/* The lease API's routes. A handler runs on a thread of the HTTP server: it checks the request and posts a mail; what touches the
 * manager runs on the loop and answers from there. A client that left while it waited is noticed when its turn comes, and passed
 * over; one that leaves later holds its lease until the deadline. */
#include "http.h"

#include <sodium.h>
#include <string.h>

#include <rw/clock.h>
#include <rw/encoding.h>
#include <rw/log.h>

enum {
    ISOLATION_BYTES_MAX = 16,
    WAIT_MS_MAX = 60000,
    DEADLINE_MS_MAX = 3600000,
    BODY_BYTES_MAX = 4096,
    ATTEMPT_MAX = 1000000,
    STARTED_LEASES_MAX = 1000,
    STARTED_BYTES_MAX = 65536
};

struct http_api {
    struct rw_http_server *server;
    struct rw_mailbox *mailbox;
    struct manager *manager;
    struct rw_metrics *metrics;
    const struct rw_health *health;
};

/* What is posted: the request, and what was read out of it. */
struct call {
    struct rw_mail mail;
    struct http_api *api;
    struct rw_http_request *http;
    struct manager_request wish;  /* POST /leases */
    struct rw_uuid lease_id;      /* GET, DELETE */
    enum manager_outcome outcome; /* DELETE */
};

static struct call *call_of_mail(struct rw_mail *mail)
{
    return (struct call *)((char *)mail - offsetof(struct call, mail));
}

static struct call *call_of_wish(struct manager_request *wish)
{
    return (struct call *)((char *)wish - offsetof(struct call, wish));
}

static void post(struct call *call, struct http_api *api, struct rw_http_request *http, void (*run)(struct rw_mail *mail))
{
    call->api = api;
    call->http = http;
    call->mail.run = run;
    rw_mailbox_post(api->mailbox, &call->mail);
}

static void reply_refusal(struct rw_http_request *http, const struct rw_error *err)
{
    if (rw_err_http_status(err->code) == 503) {
        rw_http_set_header(http, "Retry-After", "1");
    }
    rw_http_reply_error(http, err, NULL);
}

/* ---- POST /leases ---- */

struct lease_body {
    const char *language;
    const char *isolation;
    int64_t wait_ms;
    int64_t deadline_ms;
    const char *task_id;
    int64_t attempt;
};

static const struct rw_json_field lease_fields[] = {
    {"language", RW_JSON_STRING, true, 1, RW_LANGUAGE_ID_BYTES_MAX, offsetof(struct lease_body, language), SIZE_MAX},
    {"isolation", RW_JSON_STRING, false, 1, ISOLATION_BYTES_MAX, offsetof(struct lease_body, isolation), SIZE_MAX},
    {"wait_ms", RW_JSON_INT, false, 0, WAIT_MS_MAX, offsetof(struct lease_body, wait_ms), SIZE_MAX},
    {"deadline_ms", RW_JSON_INT, true, 1, DEADLINE_MS_MAX, offsetof(struct lease_body, deadline_ms), SIZE_MAX},
    {"task_id", RW_JSON_STRING, false, RW_UUID_TEXT_BYTES - 1, RW_UUID_TEXT_BYTES - 1, offsetof(struct lease_body, task_id),
     SIZE_MAX},
    {"attempt", RW_JSON_INT, false, 0, ATTEMPT_MAX, offsetof(struct lease_body, attempt), SIZE_MAX},
};

/* A client that left while it waited gets no pod: it would wait for nobody until the lease's deadline. */
static bool has_left(const struct manager_request *wish)
{
    return rw_http_client_left(((const struct call *)((const char *)wish - offsetof(struct call, wish)))->http);
}

static void on_granted(struct manager_request *wish, const struct manager_grant *grant)
{
    struct call *call = call_of_wish(wish);
    char id[RW_UUID_TEXT_BYTES];
    char secret[sodium_base64_ENCODED_LEN(RW_POD_SECRET_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    (void)sodium_bin2base64(secret, sizeof(secret), grant->secret, RW_POD_SECRET_BYTES, sodium_base64_VARIANT_ORIGINAL);
    cJSON *json = cJSON_CreateObject();
    rw_json_add_string(json, "lease_id", rw_uuid_format(grant->lease_id, id));
    rw_json_add_string(json, "pod", grant->pod);
    rw_json_add_string(json, "address", grant->address);
    rw_json_add_string(json, "secret", secret);
    sodium_memzero(secret, sizeof(secret));
    rw_http_reply_json(call->http, 200, json);
    free(call);
}

static void on_refused(struct manager_request *wish, const struct rw_error *err)
{
    struct call *call = call_of_wish(wish);
    reply_refusal(call->http, err);
    free(call);
}

static void run_lease(struct rw_mail *mail)
{
    struct call *call = call_of_mail(mail);
    manager_want_lease(call->api->manager, &call->wish);
}

static int parse_lease(const struct http_api *api, struct rw_http_request *http, struct manager_request *wish,
                       struct rw_field_errors *fields, struct rw_error *err)
{
    static const struct rw_json_limits limits = {.bytes_max = BODY_BYTES_MAX, .depth_max = 2, .values_max = 32};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    struct lease_body body = {0};
    struct rw_uuid task_id;
    if (rw_json_parse(rw_http_body(http), &limits, &json, err)) {
        return -1;
    }
    if (!cJSON_IsObject(json)) {
        return rw_fail(err, INVALID, "the body must be a JSON object");
    }
    rw_json_decode(json, "", lease_fields, RW_ARRAY_SIZE(lease_fields), &body, fields);
    if (body.task_id && rw_uuid_parse(body.task_id, &task_id, NULL)) {
        rw_field_errors_add(fields, "task_id", "must be a UUID");
    }
    if (fields->count > 0) {
        return rw_fail(err, FIELDS, "the request for a lease is not right");
    }
    *wish = (struct manager_request){.wait_ms = (uint32_t)body.wait_ms,
                                     .deadline_ms = (uint32_t)body.deadline_ms,
                                     .attempt = body.attempt,
                                     .wanted_us = rw_monotonic_us(),
                                     .has_left = has_left,
                                     .granted = on_granted,
                                     .refused = on_refused};
    (void)snprintf(wish->task_id, sizeof(wish->task_id), "%s", body.task_id ? body.task_id : "");
    if (manager_find_pool(api->manager, body.language, body.isolation, &wish->pool, err) == 0) {
        return 0;
    }
    if (err->code == RW_ERR_UNSUPPORTED) {
        rw_field_errors_add(fields, "isolation", "%s", err->message);
        return rw_fail(err, FIELDS, "the request for a lease is not right");
    }
    return -1;
}

static void handle_lease(void *ctx, struct rw_http_request *http)
{
    struct http_api *api = ctx;
    struct rw_field_errors fields = {0};
    struct rw_error err = {0};
    struct call *call = rw_xcalloc(1, sizeof(*call));
    if (parse_lease(api, http, &call->wish, &fields, &err)) {
        free(call);
        rw_http_reply_error(http, &err, &fields);
        return;
    }
    post(call, api, http, run_lease);
}

/* ---- POST /leases/started ---- */

struct started {
    struct rw_mail mail;
    struct http_api *api;
    struct rw_http_request *http;
    size_t n_leases;
    struct rw_uuid leases[];
};

static void run_started(struct rw_mail *mail)
{
    struct started *started = (struct started *)((char *)mail - offsetof(struct started, mail));
    for (size_t i = 0; i < started->n_leases; i++) {
        manager_start_lease(started->api->manager, &started->leases[i]);
    }
    rw_http_reply(started->http, 204, NULL, rw_bytes_of(NULL, 0));
    free(started);
}

static int parse_started(struct rw_http_request *http, struct started **ret_started, struct rw_field_errors *fields,
                         struct rw_error *err)
{
    static const struct rw_json_limits limits = {
        .bytes_max = STARTED_BYTES_MAX, .depth_max = 3, .values_max = STARTED_LEASES_MAX + 8};
    static const struct rw_json_field rows[] = {{"lease_ids", RW_JSON_ARRAY, true, 0, STARTED_LEASES_MAX, 0, SIZE_MAX}};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    const cJSON *ids = NULL;
    if (rw_json_parse(rw_http_body(http), &limits, &json, err)) {
        return -1;
    }
    if (!cJSON_IsObject(json)) {
        return rw_fail(err, INVALID, "the body must be a JSON object");
    }
    rw_json_decode(json, "", rows, RW_ARRAY_SIZE(rows), &ids, fields);
    RW_AUTO_FREE struct started *started = rw_xcalloc(1, sizeof(*started) + (ids ? (size_t)cJSON_GetArraySize(ids) : 0) *
                                                                                sizeof(started->leases[0]));
    const cJSON *id = NULL;
    cJSON_ArrayForEach(id, ids)
    {
        if (!cJSON_IsString(id) || rw_uuid_parse(id->valuestring, &started->leases[started->n_leases++], NULL)) {
            rw_field_errors_add(fields, "lease_ids", "must hold UUIDs only");
            break;
        }
    }
    if (fields->count > 0) {
        return rw_fail(err, FIELDS, "the list of leases is not right");
    }
    *ret_started = rw_take(started);
    return 0;
}

static void handle_started(void *ctx, struct rw_http_request *http)
{
    struct http_api *api = ctx;
    struct rw_field_errors fields = {0};
    struct rw_error err = {0};
    struct started *started = NULL;
    if (parse_started(http, &started, &fields, &err)) {
        rw_http_reply_error(http, &err, &fields);
        return;
    }
    started->api = api;
    started->http = http;
    started->mail.run = run_started;
    rw_mailbox_post(api->mailbox, &started->mail);
}

/* ---- DELETE /leases/:lease_id ---- */

static void run_end(struct rw_mail *mail)
{
    struct call *call = call_of_mail(mail);
    struct rw_error err = {0};
    if (manager_end_lease(call->api->manager, &call->lease_id, call->outcome, &err)) {
        rw_http_reply_error(call->http, &err, NULL);
    } else {
        rw_http_reply(call->http, 204, NULL, rw_bytes_of(NULL, 0));
    }
    free(call);
}

static int parse_end(const struct rw_http_request *http, struct call *call, struct rw_field_errors *fields, struct rw_error *err)
{
    static const enum manager_outcome told[] = {MANAGER_USED, MANAGER_UNUSED, MANAGER_FAILED};
    const char *outcome = rw_http_query(http, "outcome");
    for (size_t i = 0; i < RW_ARRAY_SIZE(told); i++) {
        if (outcome && strcmp(outcome, manager_outcome_name(told[i])) == 0) {
            call->outcome = told[i];
            if (rw_uuid_parse(rw_http_param(http, "lease_id"), &call->lease_id, NULL)) {
                return rw_fail(err, NOT_FOUND, "there is no such lease");
            }
            return 0;
        }
    }
    rw_field_errors_add(fields, "outcome", "must be used, unused or failed");
    return rw_fail(err, FIELDS, "the outcome of a lease must be told");
}

static void handle_end(void *ctx, struct rw_http_request *http)
{
    struct rw_field_errors fields = {0};
    struct rw_error err = {0};
    struct call *call = rw_xcalloc(1, sizeof(*call));
    if (parse_end(http, call, &fields, &err)) {
        free(call);
        rw_http_reply_error(http, &err, &fields);
        return;
    }
    post(call, ctx, http, run_end);
}

/* ---- GET /leases/:lease_id ---- */

static void run_look(struct rw_mail *mail)
{
    struct call *call = call_of_mail(mail);
    const struct lease *lease = leases_find(&call->api->manager->leases, &call->lease_id);
    char id[RW_UUID_TEXT_BYTES];
    if (!lease) {
        struct rw_error err = {0};
        (void)rw_fail(&err, NOT_FOUND, "this lease is not known, or not any more");
        rw_http_reply_error(call->http, &err, NULL);
    } else {
        cJSON *json = cJSON_CreateObject();
        rw_json_add_string(json, "lease_id", rw_uuid_format(&lease->id, id));
        if (lease->end_reason) {
            rw_json_add_string(json, "pod_ended", lease->end_reason);
        }
        rw_http_reply_json(call->http, 200, json);
    }
    free(call);
}

static void handle_look(void *ctx, struct rw_http_request *http)
{
    struct rw_error err = {0};
    struct call *call = rw_xcalloc(1, sizeof(*call));
    if (rw_uuid_parse(rw_http_param(http, "lease_id"), &call->lease_id, NULL)) {
        (void)rw_fail(&err, NOT_FOUND, "there is no such lease");
        free(call);
        rw_http_reply_error(http, &err, NULL);
        return;
    }
    post(call, ctx, http, run_look);
}

/* ---- GET /pods ---- */

struct listing {
    struct manager *manager;
    cJSON *pods;
    int64_t now_ms;
};

static void add_process(void *arg, const struct backend_listed *listed)
{
    const struct listing *listing = arg;
    cJSON *pod = cJSON_GetObjectItemCaseSensitive(listing->pods, listed->pod);
    if (pod && listed->process > 0) {
        rw_json_add_int(pod, "pid", listed->process);
    }
}

static cJSON *describe_pod(const struct listing *listing, const struct manager_pod *pod)
{
    const struct pool_pod *state = pod->pool_pod;
    char id[RW_UUID_TEXT_BYTES];
    cJSON *json = cJSON_CreateObject();
    rw_json_add_string(json, "pod", pod->name);
    rw_json_add_string(json, "language", listing->manager->by_pool[state->pool->index].language->id);
    rw_json_add_string(json, "isolation", rw_isolation_name(listing->manager->by_pool[state->pool->index].isolation));
    rw_json_add_string(json, "phase", pool_phase_name(state->phase));
    rw_json_add_int(json, "age_ms", listing->now_ms - state->created_ms);
    if (pod->leases) {
        rw_json_add_string(json, "lease_id", rw_uuid_format(&pod->leases->id, id));
    }
    return json;
}

static void run_pods(struct rw_mail *mail)
{
    struct call *call = call_of_mail(mail);
    struct manager *manager = call->api->manager;
    struct listing listing = {.manager = manager, .pods = cJSON_CreateObject(), .now_ms = rw_monotonic_ms()};
    for (const struct manager_pod *pod = manager->pods; pod; pod = pod->hh.next) {
        cJSON_AddItemToObject(listing.pods, pod->name, describe_pod(&listing, pod));
    }
    manager->class->list(manager->backend, add_process, &listing);
    cJSON *list = cJSON_CreateArray();
    while (listing.pods->child) {
        cJSON_AddItemToArray(list, cJSON_DetachItemViaPointer(listing.pods, listing.pods->child));
    }
    cJSON_Delete(listing.pods);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToObject(json, "pods", list);
    rw_http_reply_json(call->http, 200, json);
    free(call);
}

static void handle_pods(void *ctx, struct rw_http_request *http)
{
    post(rw_xcalloc(1, sizeof(struct call)), ctx, http, run_pods);
}

/* ---- health and metrics ---- */

static void handle_alive(void *ctx, struct rw_http_request *http)
{
    (void)ctx;
    rw_health_reply_alive(http);
}

static void handle_ready(void *ctx, struct rw_http_request *http)
{
    const struct http_api *api = ctx;
    rw_health_reply_ready(api->health, http);
}

static void handle_metrics(void *ctx, struct rw_http_request *http)
{
    const struct http_api *api = ctx;
    rw_metrics_reply(api->metrics, http);
}

static const struct rw_http_route routes[] = {
    {"POST", "/leases", BODY_BYTES_MAX, handle_lease},
    {"POST", "/leases/started", STARTED_BYTES_MAX, handle_started},
    {"GET", "/leases/:lease_id", 0, handle_look},
    {"DELETE", "/leases/:lease_id", 0, handle_end},
    {"GET", "/pods", 0, handle_pods},
    {"GET", "/healthz", 0, handle_alive},
    {"GET", "/readyz", 0, handle_ready},
    {"GET", "/metrics", 0, handle_metrics},
};

int http_api_start(const struct http_api_options *options, struct http_api **ret_api, struct rw_error *err)
{
    struct http_api *api = rw_xcalloc(1, sizeof(*api));
    api->manager = options->manager;
    api->metrics = options->metrics;
    api->health = options->health;
    struct rw_http_server_options server = {
        .config = &options->manager->config->http,
        .routes = routes,
        .n_routes = RW_ARRAY_SIZE(routes),
        .ctx = api,
        .metrics = options->metrics,
        .bearer_token = options->token,
    };
    if (rw_mailbox_open(options->loop, &api->mailbox, err)) {
        free(api);
        return -1;
    }
    if (rw_http_server_start(&server, &api->server, err)) {
        rw_mailbox_close(api->mailbox);
        free(api);
        return -1;
    }
    *ret_api = api;
    return 0;
}

void http_api_close(struct http_api *api)
{
    rw_http_server_stop(api->server, 0); /* what needs the loop is not answered while we stand on it */
    rw_mailbox_close(api->mailbox);
    free(api);
}
