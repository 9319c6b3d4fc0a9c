/* libmicrohttpd's callbacks: each request is read and handed to its handler here, on libmicrohttpd's threads.
 *
 * The order for one request: http_on_target (request line), http_on_request once with the headers, once for each part of the body,
 * once with the whole of it, and once more after a resume; http_on_completed at the end, whatever came before.
 *
 * A refused request's body is read and thrown away up to a bound: closing at once would make the kernel send a reset, and the
 * client would never read why. */
#include "http_internal.h"

#include <utlist.h>

#include <rw/clock.h>

/* ---- connections and deadlines ---- */

void http_on_connection(void *cls, struct MHD_Connection *mhd, void **state, enum MHD_ConnectionNotificationCode code)
{
    struct rw_http_server *server = cls;
    struct http_connection *connection = *state;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        connection = rw_xcalloc(1, sizeof(*connection));
        connection->fd = info->connect_fd;
        atomic_init(&connection->deadline_ms, rw_monotonic_ms() + server->options.config->request_timeout_ms);
        *state = connection;
        (void)pthread_mutex_lock(&server->lock);
        DL_APPEND(server->connections, connection);
        (void)pthread_mutex_unlock(&server->lock);
        return;
    }
    (void)pthread_mutex_lock(&server->lock);
    DL_DELETE(server->connections, connection);
    bool was_full = server->n_connections-- >= server->options.config->connections_max;
    (void)pthread_mutex_unlock(&server->lock);
    rw_gauge_add(server->connections_gauge, -1);
    free(connection);
    if (was_full) {
        http_keeper_wake(server);
    }
}

void http_deadline_set(struct rw_http_request *request, bool has_deadline)
{
    int64_t deadline_ms = has_deadline ? rw_monotonic_ms() + request->server->options.config->request_timeout_ms : INT64_MAX;
    atomic_store(&request->connection->deadline_ms, deadline_ms);
}

/* ---- the request line ---- */

void *http_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct rw_http_request *request = rw_xcalloc(1, sizeof(*request));
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    (void)pthread_mutex_init(&request->lock, NULL);
    request->references = 1;
    request->server = cls;
    request->connection = info->socket_context;
    request->mhd = mhd;
    request->started_us = rw_monotonic_us();
    request->route = request->server->options.n_routes;
    request->target = rw_xstrdup(target ? target : "");
    rw_buffer_init(&request->body, 0);
    return request;
}

/* ---- one request ---- */

static enum MHD_Result send_response(struct rw_http_request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    struct MHD_Response *response = rw_take(request->response);
    (void)pthread_mutex_unlock(&request->lock);

    if (request->must_close || atomic_load(&request->server->is_quiesced)) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    http_deadline_set(request, true);
    enum MHD_Result result = MHD_queue_response(request->mhd, request->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_refusal(struct rw_http_request *request)
{
    struct MHD_Response *response = http_problem_new(request, &request->refusal, NULL);
    http_answer(request, (unsigned)rw_err_http_status(request->refusal.code), response);
    return send_response(request);
}

static enum MHD_Result begin_request(struct rw_http_request *request, const char *method)
{
    uint64_t body_len = 0;

    request->is_begun = true;
    if (http_check_head(request, method, &body_len, &request->refusal) == 0) {
        return MHD_YES;
    }
    /* The rest is read and thrown away, unless where the request ends is in doubt, there is too much of it, or the client waits for
     * "100 Continue" and has not sent it. */
    bool is_endless = body_len != UINT64_MAX && body_len > HTTP_DISCARD_BYTES_MAX;
    bool is_answered_now = request->refusal.code == RW_ERR_INVALID || is_endless || rw_http_header(request, "Expect");
    return is_answered_now ? send_refusal(request) : MHD_YES;
}

static enum MHD_Result take_body(struct rw_http_request *request, const char *data, size_t len)
{
    if (request->refusal.code == RW_OK) {
        if (rw_buffer_append(&request->body, data, len, NULL) == 0) {
            return MHD_YES;
        }
        request->must_close = true;
        (void)rw_error_set(&request->refusal, RW_ERR_TOO_LARGE, 0, __func__, "the body may have at most %zu bytes",
                           request->body.len_max);
        rw_buffer_done(&request->body);
    }
    request->discarded_bytes += len;
    return request->discarded_bytes <= HTTP_DISCARD_BYTES_MAX ? MHD_YES : MHD_NO;
}

/* The whole request is there: run the handler, and suspend the connection unless it has answered. */
static enum MHD_Result handle_request(struct rw_http_request *request)
{
    const struct rw_http_server *server = request->server;

    if (request->refusal.code == RW_OK && atomic_load(&server->is_stopping)) {
        (void)rw_error_set(&request->refusal, RW_ERR_CANCELLED, 0, __func__, "the server is being stopped");
    }
    if (request->refusal.code != RW_OK) {
        return send_refusal(request);
    }
    http_deadline_set(request, false);
    (void)pthread_mutex_lock(&request->lock);
    request->state = HTTP_HANDLING;
    request->references++; /* the owner's */
    (void)pthread_mutex_unlock(&request->lock);
    http_request_open(request);
    server->options.routes[request->route].handler(server->options.ctx, request);

    (void)pthread_mutex_lock(&request->lock);
    bool is_answered = request->state == HTTP_ANSWERED;
    if (!is_answered) {
        /* Under the lock: whoever answers sees either no suspension at all or a complete one to be resumed. */
        request->state = HTTP_SUSPENDED;
        MHD_suspend_connection(request->mhd);
    }
    (void)pthread_mutex_unlock(&request->lock);
    return is_answered ? send_response(request) : MHD_YES;
}

enum MHD_Result http_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
                                const char *data, size_t *data_len, void **state)
{
    struct rw_http_request *request = *state;
    (void)cls;
    (void)mhd;
    (void)url; /* decoded by libmicrohttpd; the target as sent is what counts here */
    (void)version;

    if (!request) {
        return MHD_NO;
    }
    if (!request->is_begun) {
        return begin_request(request, method);
    }
    if (*data_len > 0) {
        size_t len = *data_len;
        *data_len = 0;
        return take_body(request, data, len);
    }
    (void)pthread_mutex_lock(&request->lock);
    enum http_state now = request->state;
    (void)pthread_mutex_unlock(&request->lock);
    return now == HTTP_READING ? handle_request(request) : send_response(request);
}

static void count_request(const struct rw_http_request *request)
{
    const struct http_route_metrics *metrics = &request->server->route_metrics[request->route];
    if (request->status == 0) {
        return; /* the connection broke before there was an answer */
    }
    unsigned class = request->status < 400 ? 0 : request->status < 500 ? 1 : 2;
    rw_counter_add(metrics->requests[class], 1);
    rw_histogram_observe(metrics->seconds, (double)(rw_monotonic_us() - request->started_us) / 1e6);
}

void http_on_completed(void *cls, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode code)
{
    struct rw_http_request *request = *state;
    (void)cls;
    (void)mhd;
    (void)code;

    if (!request) {
        return;
    }
    *state = NULL;
    http_deadline_set(request, true); /* for the next request on this connection */
    count_request(request);
    http_request_close(request);
    http_request_unref(request);
}
