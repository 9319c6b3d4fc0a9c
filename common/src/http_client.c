/* The HTTP client: libcurl says which sockets and which timeout to watch, libuv watches them.
 *
 * Calls into libcurl never happen from inside one of its own callbacks; a call's end is told after curl_multi_socket_action has
 * returned, so that `done` may make and cancel calls and close the client. Memory goes when the loop has closed every handle.
 * Proxies of the environment, redirects and other protocols are not used: this client talks to our own services. */
#include <rw/http_client.h>

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include <rw/auto.h>

enum { KEPT_CONNECTIONS = 64, RETRY_AFTER_MAX_S = 86400 };

struct rw_http_call {
    LIST_ENTRY(rw_http_call) link;
    struct rw_http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct rw_buffer response;
    bool is_too_large;
    bool is_ended; /* on_data had enough */
    bool (*on_data)(void *arg, struct rw_bytes data);
    rw_http_called done;
    void *arg;
    char message[CURL_ERROR_SIZE];
};

struct rw_http_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    LIST_HEAD(rw_http_calls, rw_http_call) calls;
    size_t n_handles; /* that the loop has not closed yet */
    bool is_closing;
};

struct watch { /* of one of libcurl's sockets */
    uv_poll_t poll;
    struct rw_http_client *client;
    curl_socket_t fd;
};

/* ---- the end of a call ---- */

static void call_free(struct rw_http_call *call)
{
    LIST_REMOVE(call, link);
    (void)curl_multi_remove_handle(call->client->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    rw_buffer_done(&call->response);
    free(call);
}

static enum rw_err error_of(const struct rw_http_call *call, CURLcode code)
{
    if (call->is_too_large) {
        return RW_ERR_TOO_LARGE;
    }
    if (call->is_ended) {
        return RW_ERR_CANCELLED;
    }
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return RW_ERR_UNAVAILABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return RW_ERR_TIMEOUT;
    default:
        return RW_ERR_IO;
    }
}

static void finish(struct rw_http_call *call, CURLcode code)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    struct rw_error err;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (code != CURLE_OK) {
        const char *url = NULL;
        (void)curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_URL, &url);
        (void)rw_error_set(&err, error_of(call, code), 0, "rw_http_client_call", "%.100s: %.120s", url ? url : "",
                           call->is_too_large ? "response too large"
                           : call->message[0] ? call->message
                                              : curl_easy_strerror(code));
    }
    rw_http_called done = call->done;
    void *arg = call->arg;
    struct rw_buffer response = call->response;
    rw_buffer_init(&call->response, 0);
    call_free(call);
    struct rw_http_answer answer = {.status = 0};
    if (code == CURLE_OK) {
        answer.status = (int)status;
        answer.retry_after_s = retry_after_s > 0 && retry_after_s < RETRY_AFTER_MAX_S ? (uint32_t)retry_after_s : 0;
        answer.body = rw_buffer_view(&response);
    }
    done(arg, &answer, code == CURLE_OK ? NULL : &err);
    rw_buffer_done(&response);
}

static void finish_ended(struct rw_http_client *client)
{
    int n_left = 0;
    const CURLMsg *message = NULL;
    while (!client->is_closing && (message = curl_multi_info_read(client->multi, &n_left))) {
        if (message->msg == CURLMSG_DONE) {
            struct rw_http_call *call = NULL;
            CURLcode code = message->data.result; /* the message goes with the handle */
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
            finish(call, code);
        }
    }
}

/* ---- libcurl's sockets and timer ---- */

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
    const struct watch *watch = poll->data;
    struct rw_http_client *client = watch->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= (events & UV_READABLE) ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0;
    int n_running = 0;
    (void)curl_multi_socket_action(client->multi, watch->fd, flags, &n_running);
    finish_ended(client);
}

static void on_timeout(uv_timer_t *timer)
{
    struct rw_http_client *client = timer->data;
    int n_running = 0;
    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
    finish_ended(client);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct rw_http_client *client = arg;
    if (client->is_closing) {
        return 0;
    }
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&client->timer);
    } else {
        uv_update_time(client->loop);
        (void)uv_timer_start(&client->timer, on_timeout, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static void handle_closed(struct rw_http_client *client)
{
    if (--client->n_handles == 0) {
        free(client);
        curl_global_cleanup();
    }
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct rw_http_client *client = watch->client;
    free(watch);
    handle_closed(client);
}

static struct watch *new_watch(struct rw_http_client *client, curl_socket_t fd)
{
    struct watch *watch = rw_xcalloc(1, sizeof(*watch));
    if (uv_poll_init_socket(client->loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->client = client;
    watch->fd = fd;
    client->n_handles++;
    (void)curl_multi_assign(client->multi, fd, watch);
    return watch;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct rw_http_client *client = arg;
    struct watch *watch = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (!watch && !(watch = new_watch(client, fd))) {
        return -1;
    }
    int events = (what & CURL_POLL_IN) ? UV_READABLE : 0;
    events |= (what & CURL_POLL_OUT) ? UV_WRITABLE : 0;
    return uv_poll_start(&watch->poll, events, on_socket_event) == 0 ? 0 : -1;
}

/* ---- making a call ---- */

static size_t take_response(char *data, size_t size, size_t count, void *arg)
{
    struct rw_http_call *call = arg;
    long status = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->on_data && status < 300) {
        call->is_ended = !call->on_data(call->arg, rw_bytes_of(data, size * count));
        return call->is_ended ? 0 : size * count;
    }
    if (rw_buffer_append(&call->response, data, size * count, NULL) != 0) {
        call->is_too_large = true;
        return 0; /* ends the call */
    }
    return size * count;
}

static bool set_pem(CURL *easy, CURLoption option, const char *pem)
{
    struct curl_blob blob = {.len = pem ? strlen(pem) : 0, .flags = CURL_BLOB_COPY};
    memcpy(&blob.data, &pem, sizeof(pem)); /* libcurl copies it, but takes no const */
    return !pem || curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

static bool set_tls(CURL *easy, const struct rw_http_tls *tls)
{
    return curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L) == CURLE_OK && set_pem(easy, CURLOPT_CAINFO_BLOB, tls->ca_pem) &&
           set_pem(easy, CURLOPT_SSLCERT_BLOB, tls->cert_pem) && set_pem(easy, CURLOPT_SSLKEY_BLOB, tls->key_pem);
}

static int set_options(struct rw_http_call *call, const struct rw_http_call_options *options)
{
    CURL *easy = call->easy;
    bool ok = true;
#define SET(option, value) (ok = curl_easy_setopt(easy, (option), (value)) == CURLE_OK && ok)
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_ERRORBUFFER, call->message);
    SET(CURLOPT_URL, options->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_HTTPHEADER, call->headers);
    SET(CURLOPT_WRITEFUNCTION, take_response);
    SET(CURLOPT_WRITEDATA, call);
    if (options->unix_socket) {
        SET(CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
    }
    if (options->idle_timeout_ms > 0) {
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)(options->idle_timeout_ms + 999) / 1000);
    }
    if (strcmp(options->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (options->body.len > 0 || strcmp(options->method, "POST") == 0) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.len);
        SET(CURLOPT_COPYPOSTFIELDS, options->body.len > 0 ? (const char *)options->body.data : "");
    }
    SET(CURLOPT_CUSTOMREQUEST, options->method);
#undef SET
    return ok && (!options->tls || set_tls(easy, options->tls)) ? 0 : -1;
}

static bool add_headers(struct rw_http_call *call, const char *const *headers)
{
    static const char *const ours[] = {"Expect:", NULL}; /* no waiting for 100 Continue */
    const char *const *lists[] = {ours, headers};
    for (size_t i = 0; i < RW_ARRAY_SIZE(lists); i++) {
        for (const char *const *at = lists[i]; at && *at; at++) {
            struct curl_slist *longer = curl_slist_append(call->headers, *at);
            if (!longer) {
                return false;
            }
            call->headers = longer;
        }
    }
    return true;
}

int rw_http_client_call(struct rw_http_client *client, const struct rw_http_call_options *options, rw_http_called done, void *arg,
                        struct rw_http_call **ret_call, struct rw_error *err)
{
    if (client->is_closing) {
        return rw_fail(err, CANCELLED, "the HTTP client is closing");
    }
    struct rw_http_call *call = rw_xcalloc(1, sizeof(*call));
    call->client = client;
    call->done = done;
    call->arg = arg;
    call->on_data = options->on_data;
    rw_buffer_init(&call->response, options->response_bytes_max);
    LIST_INSERT_HEAD(&client->calls, call, link);
    call->easy = curl_easy_init();
    if (!call->easy || !add_headers(call, options->headers) || set_options(call, options) != 0) {
        call_free(call);
        return rw_fail(err, INVALID, "HTTP call to %.160s", options->url);
    }
    CURLMcode code = curl_multi_add_handle(client->multi, call->easy);
    if (code != CURLM_OK) {
        call_free(call);
        return rw_fail(err, INTERNAL, "curl_multi_add_handle: %s", curl_multi_strerror(code));
    }
    if (ret_call) {
        *ret_call = call;
    }
    return 0;
}

void rw_http_call_cancel(struct rw_http_call *call)
{
    if (call) {
        call_free(call);
    }
}

/* ---- life ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

int rw_http_client_open(uv_loop_t *loop, struct rw_http_client **ret_client, struct rw_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return rw_fail(err, INTERNAL, "curl_global_init");
    }
    struct rw_http_client *client = rw_xcalloc(1, sizeof(*client));
    client->loop = loop;
    client->multi = curl_multi_init();
    if (!client->multi) {
        free(client);
        curl_global_cleanup();
        return rw_fail(err, INTERNAL, "curl_multi_init");
    }
    LIST_INIT(&client->calls);
    (void)uv_timer_init(loop, &client->timer);
    client->timer.data = client;
    client->n_handles = 1;
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    *ret_client = client;
    return 0;
}

void rw_http_client_close(struct rw_http_client *client)
{
    if (!client || client->is_closing) {
        return;
    }
    client->is_closing = true;
    while (!LIST_EMPTY(&client->calls)) {
        call_free(LIST_FIRST(&client->calls));
    }
    (void)curl_multi_cleanup(client->multi);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}
