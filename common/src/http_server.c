/* The HTTP server's life: start, quiesce, stop.
 *
 * libmicrohttpd's threads do not listen themselves: MHD_quiesce_daemon of 0.9.75 can abort the process when it meets a busy worker.
 * The keeper thread accepts and hands connections over, so that to quiesce is to close one socket. libmicrohttpd 0.9.75 has no
 * absolute deadline for a request either (its timeout is one of inactivity), so the keeper watches over that too.
 *
 * Stopping: open requests get the drain time; then each that is still unanswered is answered 503, because MHD_stop_daemon aborts
 * while a connection is suspended. Their owners may answer later, or while that happens; see struct rw_http_request. */
#include "http_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

#include <rw/clock.h>

void http_request_open(struct rw_http_request *request)
{
    struct rw_http_server *server = request->server;
    (void)pthread_mutex_lock(&server->lock);
    DL_APPEND(server->requests, request);
    request->is_open = true;
    (void)pthread_mutex_unlock(&server->lock);
}

void http_request_close(struct rw_http_request *request)
{
    struct rw_http_server *server = request->server;
    if (!request->is_open) {
        return;
    }
    (void)pthread_mutex_lock(&server->lock);
    DL_DELETE(server->requests, request);
    request->is_open = false;
    if (!server->requests) {
        (void)pthread_cond_broadcast(&server->idle);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

static void register_metrics(struct rw_http_server *server)
{
    static const char *const classes[HTTP_STATUS_CLASSES] = {"2xx", "4xx", "5xx"};
    struct rw_metrics *metrics = server->options.metrics;
    size_t n_routes = server->options.n_routes;

    server->route_metrics = rw_xcalloc(n_routes + 1, sizeof(*server->route_metrics));
    for (size_t i = 0; i <= n_routes; i++) {
        const char *method = i < n_routes ? server->options.routes[i].method : "";
        const char *path = i < n_routes ? server->options.routes[i].path : "";
        for (unsigned class = 0; class < HTTP_STATUS_CLASSES; class ++) {
            RW_AUTO_FREE char *labels = rw_xasprintf("method=\"%s\",route=\"%s\",code=\"%s\"", method, path, classes[class]);
            server->route_metrics[i].requests[class] = rw_metrics_counter(metrics, "runwave_http_requests_total", labels,
                                                                          "Requests completed, by route and class of status.");
        }
        RW_AUTO_FREE char *labels = rw_xasprintf("method=\"%s\",route=\"%s\"", method, path);
        server->route_metrics[i].seconds = rw_metrics_histogram(metrics, "runwave_http_request_seconds", labels,
                                                                "Time from request line to the last byte sent.",
                                                                rw_metrics_seconds_bounds, rw_metrics_n_seconds_bounds);
    }
    server->connections_gauge = rw_metrics_gauge(metrics, "runwave_http_connections", NULL, "Client connections open.");
    server->timeouts = rw_metrics_counter(metrics, "runwave_http_timeouts_total", NULL,
                                          "Connections shut down because a request or an answer took too long.");
}

static int start_mhd(struct rw_http_server *server, struct rw_error *err)
{
    const struct rw_config_http *config = server->options.config;
    /* The keeper holds the connections to connections_max. libmicrohttpd divides its own limit among its threads and drops what is
     * past it without a word, so that one is set out of reach. */
    unsigned limit = (config->connections_max + 1) * config->threads;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)limit, NULL},
        {config->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)config->threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };

    server->mhd = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL,
                                   NULL, http_on_request, server, MHD_OPTION_URI_LOG_CALLBACK, http_on_target, server,
                                   MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
                                   http_on_connection, server, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                                   config->connections_per_ip_max, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    return server->mhd ? 0 : rw_fail_sys(err, INTERNAL, errno, "start the HTTP server's threads");
}

static void destroy(struct rw_http_server *server)
{
    if (server->listen_fd >= 0) {
        (void)close(server->listen_fd);
    }
    if (server->wake_fd >= 0) {
        (void)close(server->wake_fd);
    }
    if (server->unix_path) {
        (void)unlink(server->unix_path);
    }
    free(server->unix_path);
    free(server->route_metrics);
    (void)pthread_cond_destroy(&server->idle);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}
RW_DEFINE_AUTO(struct rw_http_server *, destroy);

static void init_locks(struct rw_http_server *server)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->idle, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&server->lock, NULL);
}

int rw_http_server_start(const struct rw_http_server_options *options, struct rw_http_server **ret_server, struct rw_error *err)
{
    RW_AUTO(destroy) struct rw_http_server *server = rw_xcalloc(1, sizeof(*server));
    server->options = *options;
    server->listen_fd = -1;
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    init_locks(server);
    if (server->wake_fd < 0 || sodium_init() < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "prepare the HTTP server");
    }
    if (options->bearer_token) {
        server->wants_token = true;
        (void)crypto_generichash(server->token_hash, sizeof(server->token_hash), (const uint8_t *)options->bearer_token,
                                 strlen(options->bearer_token), NULL, 0);
    }
    register_metrics(server);
    if (http_listen(server, options->config->listen, err) || start_mhd(server, err)) {
        return -1;
    }
    int failed = pthread_create(&server->keeper, NULL, http_keeper_main, server);
    if (failed) {
        MHD_stop_daemon(server->mhd);
        return rw_fail_sys(err, INTERNAL, failed, "start the HTTP server's keeper thread");
    }
    *ret_server = rw_take(server);
    return 0;
}

uint16_t rw_http_server_port(const struct rw_http_server *server)
{
    return server->port;
}

void rw_http_server_quiesce(struct rw_http_server *server)
{
    atomic_store(&server->is_quiesced, true);
    http_keeper_wake(server);
}

/* Wait until no request is open, for at most timeout_ms. */
static void wait_idle(struct rw_http_server *server, uint32_t timeout_ms)
{
    int64_t until_ms = rw_monotonic_ms() + timeout_ms;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

    (void)pthread_mutex_lock(&server->lock);
    while (server->requests) {
        if (pthread_cond_timedwait(&server->idle, &server->lock, &until) == ETIMEDOUT) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&server->lock);
}

/* Answer what is still open with 503. References are taken under the lock and the answers given without it, because libmicrohttpd
 * takes locks of its own to resume. */
static void abandon_requests(struct rw_http_server *server)
{
    struct rw_http_request *request = NULL;
    size_t n_requests = 0;

    (void)pthread_mutex_lock(&server->lock);
    DL_COUNT(server->requests, request, n_requests);
    RW_AUTO_FREE struct rw_http_request **requests = rw_xcalloc(n_requests + 1, sizeof(struct rw_http_request *));
    size_t i = 0;
    DL_FOREACH(server->requests, request)
    {
        (void)pthread_mutex_lock(&request->lock);
        request->references++;
        (void)pthread_mutex_unlock(&request->lock);
        requests[i++] = request;
    }
    (void)pthread_mutex_unlock(&server->lock);

    for (i = 0; i < n_requests; i++) {
        http_abandon(requests[i]);
        http_request_unref(requests[i]);
    }
}

void rw_http_server_stop(struct rw_http_server *server, uint32_t drain_ms)
{
    if (!server) {
        return;
    }
    rw_http_server_quiesce(server);
    wait_idle(server, drain_ms);
    atomic_store(&server->is_stopping, true);
    abandon_requests(server);
    wait_idle(server, HTTP_STOP_FLUSH_MS);

    atomic_store(&server->keeper_ends, true);
    http_keeper_wake(server);
    (void)pthread_join(server->keeper, NULL);
    MHD_stop_daemon(server->mhd);
    destroy(server);
}
