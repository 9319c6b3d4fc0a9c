/* Leases: see leases.h. A request and a release are structs of their own on two lists, so that closing can free what is under
 * way. */
#include "leases_internal.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>
#include <utlist.h>

#include <rw/backoff.h>
#include <rw/encoding.h>
#include <rw/json.h>

enum {
    PROBE_MS = 2000,
    RELEASE_TRIES_MAX = 5,
    STARTED_SENT_MAX = 1000, /* in one call */
};

struct lease_request {
    struct leases *leases;
    struct rw_http_call *call;
    lease_answered done; /* NULL: abandoned */
    void *arg;
    struct lease_request *prev;
    struct lease_request *next;
};

struct release {
    struct leases *leases;
    struct rw_http_call *call;
    uv_timer_t timer;
    struct rw_backoff backoff;
    struct rw_uuid id;
    enum lease_outcome outcome;
    struct release *prev;
    struct release *next;
};

void leases_report(struct leases *leases, bool is_answering)
{
    if (leases->is_answering != (int)is_answering) {
        leases->is_answering = (int)is_answering;
        leases->on_state(leases->arg, is_answering);
    }
}

int leases_call(struct leases *leases, const char *method, const char *path, struct rw_bytes body, uint32_t timeout_ms,
                rw_http_called done, void *arg, struct rw_http_call **ret_call, struct rw_error *err)
{
    RW_AUTO_FREE char *url = rw_xasprintf("%s%s", leases->url, path);
    const char *headers[] = {"Content-Type: application/json", leases->authorization, NULL};
    const struct rw_http_call_options options = {
        .method = method,
        .url = url,
        .unix_socket = leases->unix_socket,
        .headers = headers,
        .body = body,
        .timeout_ms = timeout_ms,
        .response_bytes_max = ANSWER_BYTES_MAX,
    };
    return rw_http_client_call(leases->client, &options, done, arg, ret_call, err);
}

/* ---- acquiring ---- */

struct answer {
    const char *lease_id;
    const char *pod;
    const char *address;
    const char *secret;
};

static const struct rw_json_field answer_fields[] = {
#define ROW(member, max_bytes)                                                                                                     \
    {                                                                                                                              \
#member, RW_JSON_STRING, true, 1, max_bytes, offsetof(struct answer, member), SIZE_MAX                                     \
    }
    ROW(lease_id, RW_UUID_TEXT_BYTES - 1),
    ROW(pod, LEASE_NAME_BYTES - 1),
    ROW(address, LEASE_ADDRESS_BYTES - 1),
    ROW(secret, 64),
#undef ROW
};

static int decode_secret(const char *text, uint8_t out[static RW_POD_SECRET_BYTES], struct rw_error *err)
{
    uint8_t *secret = NULL;
    size_t len = 0;
    if (rw_base64_decode(text, strlen(text), &secret, &len, err) < 0) {
        return -1;
    }
    bool is_right = len == RW_POD_SECRET_BYTES;
    if (is_right) {
        memcpy(out, secret, RW_POD_SECRET_BYTES);
    }
    sodium_memzero(secret, len);
    free(secret);
    return is_right ? 0 : rw_fail(err, PROTOCOL, "secret of %zu bytes", len);
}

static int decode_lease(struct rw_bytes body, struct lease *ret_lease, struct rw_error *err)
{
    static const struct rw_json_limits limits = {.bytes_max = ANSWER_BYTES_MAX, .depth_max = 4, .values_max = 64};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    if (rw_json_parse(body, &limits, &json, err) < 0) {
        return -1;
    }
    struct answer answer = {0};
    struct rw_field_errors errors = {0};
    rw_json_decode(json, "", answer_fields, RW_ARRAY_SIZE(answer_fields), &answer, &errors);
    if (errors.count > 0) {
        return rw_fail(err, PROTOCOL, "%s: %s", errors.items[0].field, errors.items[0].message);
    }
    if (rw_uuid_parse(answer.lease_id, &ret_lease->id, err) < 0 || decode_secret(answer.secret, ret_lease->secret, err) < 0) {
        return -1;
    }
    (void)snprintf(ret_lease->pod, sizeof(ret_lease->pod), "%s", answer.pod);
    (void)snprintf(ret_lease->address, sizeof(ret_lease->address), "%s", answer.address);
    return 0;
}

static enum attempt_failure failure_of_status(int status)
{
    return status == 503 ? FAILURE_POOL_EMPTY : status >= 400 && status < 500 ? FAILURE_LEASE_REJECTED : FAILURE_PODS_UNAVAILABLE;
}

static void answered(void *arg, const struct rw_http_answer *answer, const struct rw_error *call_err)
{
    RW_AUTO_FREE struct lease_request *request = arg;
    struct leases *leases = request->leases;
    DL_DELETE(leases->requests, request);
    leases->n_pending -= request->done ? 0 : 1;
    leases_report(leases, !call_err);
    struct rw_error err = {0};
    struct lease lease = {0};
    enum attempt_failure failure = FAILURE_PODS_UNAVAILABLE;
    bool is_leased = false;
    if (call_err) {
        err = *call_err;
    } else if (answer->status != 200) {
        failure = failure_of_status(answer->status);
        (void)rw_fail(&err, UNAVAILABLE, "the pod-manager answered %d", answer->status);
    } else if (decode_lease(answer->body, &lease, &err) < 0) {
        (void)rw_error_wrap(&err, "the pod-manager's answer");
    } else {
        is_leased = true;
    }
    if (request->done) {
        request->done(request->arg, is_leased ? &lease : NULL, failure, is_leased ? NULL : &err);
    } else if (is_leased) {
        leases_release(leases, &lease.id, LEASE_UNUSED);
    }
    sodium_memzero(&lease, sizeof(lease));
}

struct lease_request *leases_acquire(struct leases *leases, const struct lease_wish *wish, lease_answered done, void *arg)
{
    char id[RW_UUID_TEXT_BYTES];
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    rw_json_add_string(json, "language", wish->language);
    if (wish->isolation[0]) {
        rw_json_add_string(json, "isolation", wish->isolation);
    }
    rw_json_add_int(json, "wait_ms", leases->wait_ms);
    rw_json_add_int(json, "deadline_ms", leases->deadline_ms);
    rw_json_add_string(json, "task_id", rw_uuid_format(wish->task_id, id));
    rw_json_add_int(json, "attempt", wish->attempt);
    size_t len = 0;
    RW_AUTO_FREE char *body = rw_json_print(json, &len);
    struct lease_request *request = rw_xcalloc(1, sizeof(*request));
    request->leases = leases;
    request->done = done;
    request->arg = arg;
    struct rw_error err;
    if (leases_call(leases, "POST", "/leases", rw_bytes_of(body, len), leases->wait_ms + CALL_MS, answered, request, &request->call,
                    &err) < 0) {
        free(request);
        done(arg, NULL, FAILURE_PODS_UNAVAILABLE, &err);
        return NULL;
    }
    DL_APPEND(leases->requests, request);
    return request;
}

void leases_abandon(struct lease_request *request)
{
    if (request) {
        request->done = NULL;
        request->leases->n_pending++;
    }
}

/* ---- giving back ---- */

static void free_release(uv_handle_t *handle)
{
    free(handle->data);
}

static void end_release(struct release *release)
{
    DL_DELETE(release->leases->releases, release);
    release->leases->n_pending--;
    uv_close((uv_handle_t *)&release->timer, free_release);
}

static void send_release(uv_timer_t *timer);

static void released(void *arg, const struct rw_http_answer *answer, const struct rw_error *err)
{
    struct release *release = arg;
    release->call = NULL;
    leases_report(release->leases, !err);
    bool is_settled = !err && answer->status < 500;
    if (is_settled || release->backoff.failures + 1 >= RELEASE_TRIES_MAX) {
        if (!is_settled || (answer->status != 204 && answer->status != 404)) {
            char id[RW_UUID_TEXT_BYTES];
            rw_log(RW_LOG_WARNING, "lease not given back, it ends at its deadline", RW_LOG_INT("status", answer->status),
                   RW_LOG_STR("lease_id", rw_uuid_format(&release->id, id)),
                   RW_LOG_STR("error_message", err ? err->message : NULL));
        }
        end_release(release);
        return;
    }
    uv_timer_start(&release->timer, send_release, rw_backoff_next_ms(&release->backoff), 0);
}

static void send_release(uv_timer_t *timer)
{
    struct release *release = timer->data;
    char id[RW_UUID_TEXT_BYTES];
    RW_AUTO_FREE char *path = rw_xasprintf("/leases/%s?outcome=%s", rw_uuid_format(&release->id, id),
                                           lease_outcome_name(release->outcome));
    struct rw_error err;
    if (leases_call(release->leases, "DELETE", path, rw_bytes_of(NULL, 0), CALL_MS, released, release, &release->call, &err) < 0) {
        released(release, &(struct rw_http_answer){.status = 0}, &err);
    }
}

void leases_release(struct leases *leases, const struct rw_uuid *id, enum lease_outcome outcome)
{
    if (outcome == LEASE_LEFT) {
        return;
    }
    struct release *release = rw_xcalloc(1, sizeof(*release));
    release->leases = leases;
    release->id = *id;
    release->outcome = outcome;
    rw_backoff_init(&release->backoff, 100, 2000);
    (void)uv_timer_init(leases->loop, &release->timer);
    release->timer.data = release;
    DL_APPEND(leases->releases, release);
    leases->n_pending++;
    send_release(&release->timer);
}

size_t leases_pending(const struct leases *leases)
{
    return leases ? leases->n_pending : 0;
}

/* ---- does it answer? and which leases have begun ---- */

void leases_started(struct leases *leases, const struct rw_uuid *id)
{
    if (leases->n_started < STARTED_MAX) {
        leases->started[leases->n_started++] = *id;
    }
}

/* {"lease_ids": [...]}, owned by the caller. */
static char *started_body(struct leases *leases, size_t *ret_len)
{
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    cJSON *ids = cJSON_AddArrayToObject(json, "lease_ids");
    leases->n_sent = leases->n_started < STARTED_SENT_MAX ? leases->n_started : STARTED_SENT_MAX;
    for (size_t i = 0; i < leases->n_sent; i++) {
        char id[RW_UUID_TEXT_BYTES];
        cJSON_AddItemToArray(ids, cJSON_CreateString(rw_uuid_format(&leases->started[i], id)));
    }
    return rw_json_print(json, ret_len);
}

static void probed(void *arg, const struct rw_http_answer *answer, const struct rw_error *err)
{
    struct leases *leases = arg;
    leases->probe = NULL;
    if (!err && answer->status < 300) {
        leases->n_started -= leases->n_sent;
        memmove(leases->started, leases->started + leases->n_sent, leases->n_started * sizeof(leases->started[0]));
    }
    leases_report(leases, !err);
}

static void probe(uv_timer_t *timer)
{
    struct leases *leases = timer->data;
    struct rw_error err;
    if (leases->probe) {
        return;
    }
    size_t len = 0;
    RW_AUTO_FREE char *body = started_body(leases, &len);
    if (leases_call(leases, "POST", "/leases/started", rw_bytes_of(body, len), CALL_MS, probed, leases, &leases->probe, &err) < 0) {
        leases_report(leases, false);
    }
}

int leases_open(uv_loop_t *loop, const struct scheduler_config *config, const char *token,
                void (*on_state)(void *arg, bool is_answering), void *arg, struct leases **ret_leases, struct rw_error *err)
{
    struct leases *leases = rw_xcalloc(1, sizeof(*leases));
    if (rw_http_client_open(loop, &leases->client, err) < 0) {
        free(leases);
        return -1;
    }
    leases->loop = loop;
    leases->url = config->pod_manager.url;
    leases->unix_socket = config->pod_manager.unix_socket;
    leases->wait_ms = config->pod_wait_ms;
    leases->deadline_ms = config->hello_ms + config->attempt_max_ms + 2 * config->attempt_grace_ms;
    leases->authorization = token ? rw_xasprintf("Authorization: Bearer %s", token) : NULL;
    leases->is_answering = -1;
    leases->on_state = on_state;
    leases->arg = arg;
    (void)uv_timer_init(loop, &leases->probe_timer);
    leases->probe_timer.data = leases;
    (void)uv_timer_start(&leases->probe_timer, probe, 0, PROBE_MS);
    *ret_leases = leases;
    return 0;
}

static void free_leases(uv_handle_t *handle)
{
    struct leases *leases = handle->data;
    rw_secret_free(leases->authorization);
    free(leases);
}

void leases_close(struct leases *leases)
{
    if (!leases) {
        return;
    }
    rw_http_client_close(leases->client);
    struct lease_request *request;
    struct lease_request *next_request;
    DL_FOREACH_SAFE(leases->requests, request, next_request)
    {
        DL_DELETE(leases->requests, request);
        free(request);
    }
    struct release *release;
    struct release *next_release;
    DL_FOREACH_SAFE(leases->releases, release, next_release)
    {
        end_release(release);
    }
    leases_look_close(leases);
    uv_close((uv_handle_t *)&leases->probe_timer, free_leases);
}
