/* One call's way: credentials fresh → sent → answered, and back to the start for a 401 (once) or a 429 (after its Retry-After). Each call
 * has a timer of its own for that; it is freed when the loop has closed the timer. */
#include "kube_client.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include <rw/clock.h>
#include <rw/json.h>

#include "kube_stream.h"

enum { THROTTLED_TRIES_MAX = 5, RETRY_AFTER_DEFAULT_S = 1, RETRY_AFTER_CAP_S = 30, ANSWER_BYTES_MAX = KUBE_OBJECT_BYTES_MAX };

struct kube_call {
    LIST_ENTRY(kube_call) link;
    struct kube_client *client;
    uv_timer_t timer; /* starts every try, so that nothing is told from inside kube_client_call */
    struct rw_http_call *http;
    char *method;
    char *path;
    char *body;
    struct kube_request request; /* its texts are not used: the copies above are */
    kube_answered done;
    void *arg;
    unsigned n_throttled;
    bool was_refused;
    bool is_over; /* told or cancelled; the timer is closing */
};

struct kube_client {
    uv_loop_t *loop;
    struct rw_http_client *http;
    struct kube_credentials *credentials;
    LIST_HEAD(kube_calls, kube_call) calls;
    struct rw_counter *n_requests[6]; /* by hundreds of the status; 0: no answer */
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct kube_call *call = handle->data;
    free(call->method);
    free(call->path);
    free(call->body);
    free(call);
}

static void end_call(struct kube_call *call)
{
    call->is_over = true;
    LIST_REMOVE(call, link);
    uv_close((uv_handle_t *)&call->timer, on_timer_closed);
}

static enum rw_err code_of_status(int status)
{
    static const struct {
        int status;
        enum rw_err code;
    } rows[] = {
        {401, RW_ERR_UNAUTHORIZED}, {403, RW_ERR_FORBIDDEN}, {404, RW_ERR_NOT_FOUND},  {409, RW_ERR_CONFLICT},
        {410, RW_ERR_FENCED},       {422, RW_ERR_FIELDS},    {429, RW_ERR_OVERLOADED},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        if (rows[i].status == status) {
            return rows[i].code;
        }
    }
    return status >= 500 ? RW_ERR_UNAVAILABLE : RW_ERR_PROTOCOL;
}

static void tell(struct kube_call *call, const struct kube_answer *answer, const struct rw_error *err)
{
    kube_answered done = call->done;
    void *arg = call->arg;
    end_call(call);
    done(arg, answer, err);
}

static void tell_answer(struct kube_call *call, const struct rw_http_answer *http)
{
    struct rw_error err;
    struct kube_answer answer = {.status = http->status, .reason = ""};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    bool is_good = http->status >= 200 && http->status < 300;
    bool is_stream = call->request.on_data && is_good;
    if (!is_stream && http->body.len > 0 && kube_json_parse(http->body, &json, &err) < 0 && is_good) {
        err.code = RW_ERR_PROTOCOL;
        (void)rw_error_wrap(&err, "%s %.80s", call->method, call->path);
        tell(call, &answer, &err);
        return;
    }
    answer.json = json;
    const char *reason = rw_json_string(json, "reason", NULL);
    answer.reason = !is_good && reason ? reason : "";
    if (!is_good) {
        const char *message = rw_json_string(json, "message", NULL);
        (void)rw_error_set(&err, code_of_status(http->status), 0, __func__, "%s %.80s: %d %s", call->method, call->path,
                           http->status, message ? message : answer.reason);
    }
    tell(call, &answer, is_good ? NULL : &err);
}

static void start_try(uv_timer_t *timer);

static void on_http(void *arg, const struct rw_http_answer *http, const struct rw_error *err)
{
    struct kube_call *call = arg;
    call->http = NULL;
    rw_counter_add(call->client->n_requests[http->status / 100 < 6 ? http->status / 100 : 0], 1);
    if (err) {
        tell(call, &(struct kube_answer){.status = 0, .reason = ""}, err);
    } else if (http->status == 401 && !call->was_refused) {
        call->was_refused = true;
        kube_credentials_refuse(call->client->credentials);
        (void)uv_timer_start(&call->timer, start_try, 0, 0);
    } else if (http->status == 429 && call->n_throttled < THROTTLED_TRIES_MAX) {
        call->n_throttled++;
        uint32_t wait_s = http->retry_after_s ? http->retry_after_s : RETRY_AFTER_DEFAULT_S;
        wait_s = wait_s < RETRY_AFTER_CAP_S ? wait_s : RETRY_AFTER_CAP_S;
        (void)uv_timer_start(&call->timer, start_try, (uint64_t)wait_s * 1000, 0);
    } else {
        tell_answer(call, http);
    }
}

static bool on_piece(void *arg, struct rw_bytes data)
{
    const struct kube_call *call = arg;
    return call->request.on_data(call->arg, data);
}

static int send_call(struct kube_call *call, struct rw_error *err)
{
    static const char *const contents[] = {
        [KUBE_JSON] = "Content-Type: application/json",
        [KUBE_MERGE_PATCH] = "Content-Type: application/merge-patch+json",
    };
    const struct kube_identity *identity = kube_credentials_identity(call->client->credentials);
    RW_AUTO_FREE char *url = rw_xasprintf("%s%s", identity->server, call->path);
    RW_AUTO_FREE char *bearer = identity->token ? rw_xasprintf("Authorization: Bearer %s", identity->token) : NULL;
    const char *headers[] = {"Accept: application/json", contents[call->request.content], bearer, NULL};
    int outcome = rw_http_client_call(
        call->client->http,
        &(struct rw_http_call_options){
            .method = call->method,
            .url = url,
            .headers = headers,
            .body = rw_bytes_of(call->body, call->body ? strlen(call->body) : 0),
            .timeout_ms = call->request.timeout_ms,
            .idle_timeout_ms = call->request.idle_timeout_ms,
            .response_bytes_max = ANSWER_BYTES_MAX,
            .tls = &(struct rw_http_tls){.ca_pem = identity->ca_pem, .cert_pem = identity->cert_pem, .key_pem = identity->key_pem},
            .on_data = call->request.on_data ? on_piece : NULL,
        },
        on_http, call, &call->http, err);
    if (bearer) {
        explicit_bzero(bearer, strlen(bearer));
    }
    return outcome;
}

static void on_refreshed(void *arg, const struct rw_error *refresh_err)
{
    struct kube_call *call = arg;
    struct rw_error err;
    /* A failed refresh keeps the old token, which may still do: the server says so if not. */
    (void)refresh_err;
    if (send_call(call, &err) < 0) {
        tell(call, &(struct kube_answer){.status = 0, .reason = ""}, &err);
    }
}

static void start_try(uv_timer_t *timer)
{
    struct kube_call *call = timer->data;
    struct kube_client *client = call->client;
    if (kube_credentials_is_stale(client->credentials, rw_monotonic_ms())) {
        kube_credentials_refresh(client->credentials, client->loop, on_refreshed, call);
    } else {
        on_refreshed(call, NULL);
    }
}

struct kube_call *kube_client_call(struct kube_client *client, const struct kube_request *request, kube_answered done, void *arg)
{
    struct kube_call *call = rw_xcalloc(1, sizeof(*call));
    size_t len = 0;
    call->client = client;
    call->method = rw_xstrdup(request->method);
    call->path = rw_xstrdup(request->path);
    call->body = request->body ? rw_json_print(request->body, &len) : NULL;
    call->request = *request;
    call->done = done;
    call->arg = arg;
    LIST_INSERT_HEAD(&client->calls, call, link);
    (void)uv_timer_init(client->loop, &call->timer);
    call->timer.data = call;
    (void)uv_timer_start(&call->timer, start_try, 0, 0);
    return call;
}

void kube_call_cancel(struct kube_call *call)
{
    if (call && !call->is_over) {
        rw_http_call_cancel(call->http);
        call->http = NULL;
        kube_credentials_forget(call->client->credentials, call);
        end_call(call);
    }
}

int kube_client_open(uv_loop_t *loop, struct kube_credentials *credentials, struct rw_metrics *metrics,
                     struct kube_client **ret_client, struct rw_error *err)
{
    struct kube_client *client = rw_xcalloc(1, sizeof(*client));
    client->loop = loop;
    client->credentials = credentials;
    LIST_INIT(&client->calls);
    if (rw_http_client_open(loop, &client->http, err) < 0) {
        kube_credentials_free(credentials);
        free(client);
        return -1;
    }
    static const char *const labels[] = {"status=\"none\"", "status=\"1xx\"", "status=\"2xx\"",
                                         "status=\"3xx\"",  "status=\"4xx\"", "status=\"5xx\""};
    for (size_t i = 0; i < RW_ARRAY_SIZE(labels); i++) {
        client->n_requests[i] = rw_metrics_counter(metrics, "runwave_pod_manager_kubernetes_requests_total", labels[i],
                                                   "Requests to the Kubernetes API server.");
    }
    *ret_client = client;
    return 0;
}

const char *kube_client_namespace(const struct kube_client *client)
{
    return kube_credentials_identity(client->credentials)->namespace_;
}

void kube_client_close(struct kube_client *client)
{
    if (!client) {
        return;
    }
    while (!LIST_EMPTY(&client->calls)) {
        kube_call_cancel(LIST_FIRST(&client->calls));
    }
    rw_http_client_close(client->http);
    kube_credentials_free(client->credentials);
    free(client);
}
