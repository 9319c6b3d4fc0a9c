/* The Docker Engine's client: a thin layer over rw/http_client.h, which keeps the connections. */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include <rw/auto.h>
#include <rw/http_client.h>
#include <rw/json.h>

enum { STATUS_CLASSES = 6 };

struct engine_call {
    LIST_ENTRY(engine_call) link;
    struct engine *engine;
    char *what; /* "POST /containers/create?...", for messages */
    engine_answered done;
    void *arg;
    uv_timer_t *late; /* tells what could not be begun */
};

struct watch {
    LIST_ENTRY(watch) link;
    struct engine_watcher watcher;
    struct engine_stream stream;
    struct rw_error problem; /* of the stream's text; code OK: none */
};

struct engine {
    uv_loop_t *loop;
    struct rw_http_client *http;
    char *socket;
    char version[8]; /* "/v1.41"; "" while it is not known */
    LIST_HEAD(engine_calls, engine_call) calls;
    LIST_HEAD(engine_watches, watch) watches;
    struct rw_counter *n_requests[STATUS_CLASSES]; /* by hundreds of the status; 0: no answer */
};

/* ---- calls ---- */

static void on_late_closed(uv_handle_t *handle)
{
    free(handle);
}

static void call_free(struct engine_call *call)
{
    LIST_REMOVE(call, link);
    if (call->late) {
        uv_close((uv_handle_t *)call->late, on_late_closed);
    }
    free(call->what);
    free(call);
}

static void tell(struct engine_call *call, const cJSON *json, const struct rw_error *err)
{
    engine_answered done = call->done;
    void *arg = call->arg;
    call_free(call);
    done(arg, json, err);
}

static enum rw_err code_of_status(int status)
{
    switch (status) {
    case 400:
        return RW_ERR_INVALID;
    case 404:
        return RW_ERR_NOT_FOUND;
    case 409:
        return RW_ERR_CONFLICT;
    default:
        return RW_ERR_INTERNAL;
    }
}

static void on_http(void *arg, const struct rw_http_answer *http, const struct rw_error *http_err)
{
    struct engine_call *call = arg;
    struct rw_error err;
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    bool is_good = http->status >= 200 && http->status < 400; /* 304: it was so already */
    rw_counter_add(call->engine->n_requests[http->status / 100 < STATUS_CLASSES ? http->status / 100 : 0], 1);
    if (http_err) {
        tell(call, NULL, http_err);
        return;
    }
    if (http->body.len > 0 && engine_json_parse(http->body, &json, &err) < 0 && is_good) {
        err.code = RW_ERR_PROTOCOL;
        (void)rw_error_wrap(&err, "%s", call->what);
        tell(call, NULL, &err);
        return;
    }
    if (!is_good) {
        const char *message = rw_json_string(json, "message", NULL);
        (void)rw_error_set(&err, code_of_status(http->status), 0, "engine_call", "Docker Engine: %s",
                           message ? message : call->what);
    }
    tell(call, json, is_good ? NULL : &err);
}

static void on_late(uv_timer_t *timer)
{
    struct engine_call *call = timer->data;
    struct rw_error err;
    (void)rw_error_set(&err, RW_ERR_INTERNAL, 0, "engine_call", "%s could not be begun", call->what);
    tell(call, NULL, &err);
}

static void tell_late(struct engine_call *call)
{
    call->late = rw_xcalloc(1, sizeof(*call->late));
    (void)uv_timer_init(call->engine->loop, call->late);
    call->late->data = call;
    (void)uv_timer_start(call->late, on_late, 0, 0);
}

void engine_call(struct engine *engine, const struct engine_request *request, engine_answered done, void *arg)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct rw_error err;
    size_t len = 0;
    RW_AUTO_FREE char *url = rw_xasprintf("http://docker%s%s", engine->version, request->path);
    RW_AUTO_FREE char *body = request->body ? rw_json_print(request->body, &len) : NULL;
    struct engine_call *call = rw_xcalloc(1, sizeof(*call));
    call->engine = engine;
    call->what = rw_xasprintf("%s %.120s", request->method, request->path);
    call->done = done;
    call->arg = arg;
    LIST_INSERT_HEAD(&engine->calls, call, link);
    if (rw_http_client_call(engine->http,
                            &(struct rw_http_call_options){.method = request->method,
                                                           .url = url,
                                                           .unix_socket = engine->socket,
                                                           .headers = body ? headers : NULL,
                                                           .body = rw_bytes_of(body, len),
                                                           .timeout_ms = request->timeout_ms,
                                                           .response_bytes_max = ENGINE_ANSWER_BYTES_MAX},
                            on_http, call, NULL, &err)) {
        tell_late(call);
    }
}

/* ---- events ---- */

static void watch_free(struct watch *watch)
{
    LIST_REMOVE(watch, link);
    engine_stream_done(&watch->stream);
    free(watch);
}

static bool on_piece(void *arg, struct rw_bytes bytes)
{
    struct watch *watch = arg;
    return engine_stream_feed(&watch->stream, bytes, watch->watcher.event, watch->watcher.arg, &watch->problem) == 0;
}

static void on_watched(void *arg, const struct rw_http_answer *http, const struct rw_error *http_err)
{
    struct watch *watch = arg;
    struct engine_watcher watcher = watch->watcher;
    struct rw_error err = watch->problem;
    if (err.code == RW_OK && http_err) {
        err = *http_err;
    } else if (err.code == RW_OK) {
        (void)rw_error_set(&err, RW_ERR_IO, 0, "engine_watch", "the engine ended its stream of events (status %d)", http->status);
    }
    watch_free(watch);
    watcher.ended(watcher.arg, &err);
}

void engine_watch(struct engine *engine, const char *label, int64_t since_s, uint32_t life_ms, const struct engine_watcher *watcher)
{
    /* {"type":["container"],"event":["create","die","destroy"],"label":["NAME=VALUE"]} in percent-encoding */
    RW_AUTO_FREE char *url = rw_xasprintf("http://docker%s/events?since=%" PRId64
                                          "&filters=%%7B%%22type%%22%%3A%%5B%%22container%%22%%5D%%2C"
                                          "%%22event%%22%%3A%%5B%%22create%%22%%2C%%22die%%22%%2C%%22destroy%%22%%5D%%2C"
                                          "%%22label%%22%%3A%%5B%%22%s%%22%%5D%%7D",
                                          engine->version, since_s, label);
    struct watch *watch = rw_xcalloc(1, sizeof(*watch));
    watch->watcher = *watcher;
    engine_stream_init(&watch->stream);
    LIST_INSERT_HEAD(&engine->watches, watch, link);
    struct rw_http_call_options options = {.method = "GET",
                                           .url = url,
                                           .unix_socket = engine->socket,
                                           .timeout_ms = life_ms,
                                           .response_bytes_max = ENGINE_EVENT_BYTES_MAX,
                                           .on_data = on_piece};
    struct rw_error err;
    if (rw_http_client_call(engine->http, &options, on_watched, watch, NULL, &err)) {
        watch_free(watch); /* only while the client is closing */
    }
}

/* ---- life ---- */

int engine_open(uv_loop_t *loop, const char *socket, struct rw_metrics *metrics, struct engine **ret_engine, struct rw_error *err)
{
    static const char *const labels[STATUS_CLASSES] = {"status=\"none\"", "status=\"1xx\"", "status=\"2xx\"",
                                                       "status=\"3xx\"",  "status=\"4xx\"", "status=\"5xx\""};
    struct engine *engine = rw_xcalloc(1, sizeof(*engine));
    if (rw_http_client_open(loop, &engine->http, err)) {
        free(engine);
        return -1;
    }
    engine->loop = loop;
    engine->socket = rw_xstrdup(socket);
    LIST_INIT(&engine->calls);
    LIST_INIT(&engine->watches);
    for (size_t i = 0; i < STATUS_CLASSES; i++) {
        engine->n_requests[i] = rw_metrics_counter(metrics, "runwave_pod_manager_docker_requests_total", labels[i],
                                                   "Requests to the Docker Engine.");
    }
    *ret_engine = engine;
    return 0;
}

void engine_set_version(struct engine *engine, unsigned minor)
{
    engine->version[0] = '\0';
    if (minor) {
        (void)snprintf(engine->version, sizeof(engine->version), "/v1.%u", minor % 1000);
    }
}

void engine_close(struct engine *engine)
{
    rw_http_client_close(engine->http);
    while (!LIST_EMPTY(&engine->calls)) {
        call_free(LIST_FIRST(&engine->calls));
    }
    while (!LIST_EMPTY(&engine->watches)) {
        watch_free(LIST_FIRST(&engine->watches));
    }
    free(engine->socket);
    free(engine);
}
