/* The thread that owns one connection to the broker: connect, declare the topology, serve, reconnect with back-off.
 *
 * librabbitmq's traps that shape it: a connection belongs to one thread; heartbeats happen only inside library calls, so that no
 * wait is longer than half of one; writes block without a limit, so that it writes only while the socket has room, and the kernel
 * gives the connection up when what was sent is not taken (TCP_USER_TIMEOUT); TLS may hold what poll(2) cannot see, so that
 * frames are always read until there is none before it waits. */
#include "amqp_internal.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <rw/clock.h>

enum {
    CONNECT_TIMEOUT_S = 5,
    HANDSHAKE_TIMEOUT_S = 10,
    RPC_TIMEOUT_S = 30, /* a node that elects leaders for many new queues is slow */
    CLOSE_TIMEOUT_S = 1,
    WRITE_TIMEOUT_MS = 15000,
    SEND_BUFFER_BYTES = 1024 * 1024, /* the kernel takes what it permits */
    BACKOFF_BASE_MS = 100,
    BACKOFF_MAX_MS = 3000,
    WAIT_MS_MAX = 1000,
};

/* ---- failures ---- */

static void note_error(struct amqp_worker *worker, const char *what, const char *detail)
{
    (void)pthread_mutex_lock(&worker->lock);
    (void)snprintf(worker->last_error, sizeof(worker->last_error), "%.60s: %.180s", what, detail);
    (void)pthread_mutex_unlock(&worker->lock);
}

void amqp_worker_break(struct amqp_worker *worker, const char *what, const char *detail)
{
    if (!worker->is_broken) {
        worker->is_broken = true;
        note_error(worker, what, detail);
    }
}

static void break_by_broker(struct amqp_worker *worker, const char *what, uint16_t code, amqp_bytes_t text)
{
    char detail[160];
    (void)snprintf(detail, sizeof(detail), "%u %.*s", code, (int)(text.len < 140 ? text.len : 140), (const char *)text.bytes);
    amqp_worker_break(worker, what, detail);
}

/* true when the method is the broker closing the channel or the connection. */
static bool is_close(struct amqp_worker *worker, const char *what, const amqp_method_t *method)
{
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = method->decoded;
        break_by_broker(worker, what, close->reply_code, close->reply_text);
        return true;
    }
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = method->decoded;
        break_by_broker(worker, what, close->reply_code, close->reply_text);
        return true;
    }
    return false;
}

int amqp_worker_check_status(struct amqp_worker *worker, int status, const char *what)
{
    if (status != AMQP_STATUS_OK) {
        amqp_worker_break(worker, what, amqp_error_string2(status));
        return -1;
    }
    return 0;
}

int amqp_worker_check(struct amqp_worker *worker, amqp_rpc_reply_t reply, const char *what)
{
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return 0;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        amqp_worker_break(worker, what, amqp_error_string2(reply.library_error));
        return -1;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (is_close(worker, what, &reply.reply)) {
            return -1;
        }
        break;
    case AMQP_RESPONSE_NONE:
    default:
        break;
    }
    amqp_worker_break(worker, what, "unexpected answer");
    return -1;
}

int amqp_worker_check_rpc(struct amqp_worker *worker, const char *what)
{
    return amqp_worker_check(worker, amqp_get_rpc_reply(worker->state), what);
}

/* ---- connecting ---- */

static void publish_socket_fd(struct amqp_worker *worker, int fd)
{
    (void)pthread_mutex_lock(&worker->lock);
    worker->socket_fd = fd;
    (void)pthread_mutex_unlock(&worker->lock);
}

static amqp_socket_t *new_socket(struct amqp_worker *worker)
{
    const struct rw_config_broker *config = worker->options.config;
    if (!config->tls) {
        return amqp_tcp_socket_new(worker->state);
    }
    amqp_socket_t *socket = amqp_ssl_socket_new(worker->state);
    if (socket && (amqp_ssl_socket_set_cacert(socket, config->tls_ca_file) != AMQP_STATUS_OK ||
                   amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK)) {
        return NULL;
    }
    if (socket) {
        amqp_ssl_socket_set_verify_peer(socket, 1);
        amqp_ssl_socket_set_verify_hostname(socket, 1);
    }
    return socket;
}

/* The options only improve matters: a socket that refuses one still works. */
static void tune_socket(int fd)
{
    const int user_timeout_ms = WRITE_TIMEOUT_MS;
    const int send_buffer_bytes = SEND_BUFFER_BYTES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(send_buffer_bytes));
}

static int log_in(struct amqp_worker *worker)
{
    const struct rw_config_broker *config = worker->options.config;
    amqp_table_entry_t capability = {.key = amqp_cstring_bytes("connection.blocked"),
                                     .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
    amqp_table_entry_t entries[] = {
        {.key = amqp_cstring_bytes("connection_name"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(worker->options.connection_name)}},
        {.key = amqp_cstring_bytes("capabilities"),
         .value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {.num_entries = 1, .entries = &capability}}},
    };
    const amqp_table_t properties = {.num_entries = RW_ARRAY_SIZE(entries), .entries = entries};
    const struct timeval handshake = {.tv_sec = HANDSHAKE_TIMEOUT_S};
    const struct timeval rpc = {.tv_sec = RPC_TIMEOUT_S};
    (void)amqp_set_handshake_timeout(worker->state, &handshake);
    (void)amqp_set_rpc_timeout(worker->state, &rpc);
    return amqp_worker_check(worker,
                             amqp_login_with_properties(worker->state, config->vhost, AMQP_DEFAULT_MAX_CHANNELS,
                                                        AMQP_DEFAULT_FRAME_SIZE, (int)config->heartbeat_s, &properties,
                                                        AMQP_SASL_METHOD_PLAIN, config->user, worker->options.password),
                             "logging in to the broker");
}

static int connect_broker(struct amqp_worker *worker)
{
    const struct rw_config_broker *config = worker->options.config;
    worker->is_broken = false;
    worker->is_blocked = false;
    worker->state = amqp_new_connection();
    amqp_socket_t *socket = worker->state ? new_socket(worker) : NULL;
    if (!socket) {
        amqp_worker_break(worker, "connecting to the broker", config->tls ? "cannot use the CA file" : "no socket");
        return -1;
    }
    const struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_S};
    int status = amqp_socket_open_noblock(socket, config->host, (int)config->port, &timeout);
    if (amqp_worker_check_status(worker, status, "connecting to the broker") != 0) {
        return -1;
    }
    int fd = amqp_get_sockfd(worker->state);
    tune_socket(fd);
    publish_socket_fd(worker, fd);
    if (log_in(worker) != 0) {
        return -1;
    }
    (void)amqp_channel_open(worker->state, AMQP_SETUP_CHANNEL);
    if (amqp_worker_check_rpc(worker, "opening a channel") != 0 || amqp_topology_declare(worker) != 0) {
        return -1;
    }
    return worker->role->set_up(worker);
}

static void disconnect_broker(struct amqp_worker *worker)
{
    publish_socket_fd(worker, -1);
    if (!worker->state) {
        return;
    }
    if (!worker->is_broken) {
        const struct timeval timeout = {.tv_sec = CLOSE_TIMEOUT_S};
        (void)amqp_set_rpc_timeout(worker->state, &timeout);
        (void)amqp_connection_close(worker->state, AMQP_REPLY_SUCCESS);
    }
    (void)amqp_destroy_connection(worker->state);
    worker->state = NULL;
}

/* ---- frames and waiting ---- */

static void set_connected(struct amqp_worker *worker, bool is_connected)
{
    /* Under the lock, so that a publish sees the connection and its queue in one state. */
    (void)pthread_mutex_lock(&worker->lock);
    atomic_store(&worker->is_connected, is_connected);
    (void)pthread_mutex_unlock(&worker->lock);
    rw_gauge_set(worker->connected_gauge, is_connected ? 1 : 0);
}

int amqp_worker_next_frame(struct amqp_worker *worker, amqp_frame_t *ret_frame)
{
    for (;;) {
        const struct timeval now = {.tv_sec = 0};
        int status = worker->is_broken ? AMQP_STATUS_CONNECTION_CLOSED
                                       : amqp_simple_wait_frame_noblock(worker->state, ret_frame, &now);
        if (status == AMQP_STATUS_TIMEOUT) {
            return 0;
        }
        if (amqp_worker_check_status(worker, status, "reading from the broker") != 0) {
            return -1;
        }
        if (ret_frame->frame_type != AMQP_FRAME_METHOD) {
            return 1;
        }
        const amqp_method_t *method = &ret_frame->payload.method;
        if (is_close(worker, "closed by the broker", method)) {
            return -1;
        }
        if (method->id != AMQP_CONNECTION_BLOCKED_METHOD && method->id != AMQP_CONNECTION_UNBLOCKED_METHOD) {
            return 1;
        }
        worker->is_blocked = method->id == AMQP_CONNECTION_BLOCKED_METHOD;
        if (worker->is_blocked) {
            note_error(worker, "broker", "takes no messages for now (memory or disk alarm)");
        }
        set_connected(worker, !worker->is_blocked);
    }
}

void amqp_worker_release_buffers(struct amqp_worker *worker)
{
    amqp_maybe_release_buffers(worker->state);
}

static void clear_wake(struct amqp_worker *worker)
{
    uint64_t count = 0;
    ssize_t rc = read(worker->wake_fd, &count, sizeof(count));
    (void)rc; /* EAGAIN: nobody woke us */
}

void amqp_worker_wait(struct amqp_worker *worker, bool wants_write, int64_t timeout_ms)
{
    int64_t heartbeat_ms = amqp_get_heartbeat(worker->state) * 1000 / 2;
    if (heartbeat_ms > 0 && timeout_ms > heartbeat_ms) {
        timeout_ms = heartbeat_ms;
    }
    timeout_ms = timeout_ms < 0 ? 0 : timeout_ms > WAIT_MS_MAX ? WAIT_MS_MAX : timeout_ms;
    struct pollfd fds[] = {
        {.fd = amqp_get_sockfd(worker->state), .events = wants_write ? POLLIN | POLLOUT : POLLIN},
        {.fd = worker->wake_fd, .events = POLLIN},
    };
    if (poll(fds, RW_ARRAY_SIZE(fds), (int)timeout_ms) > 0 && (fds[1].revents & POLLIN)) {
        clear_wake(worker);
    }
}

bool amqp_worker_can_write(struct amqp_worker *worker)
{
    /* Linux says POLLOUT while at least a third of the send buffer is free. */
    struct pollfd fd = {.fd = amqp_get_sockfd(worker->state), .events = POLLOUT};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT);
}

/* ---- the thread ---- */

bool amqp_worker_is_stopping(struct amqp_worker *worker, int64_t *ret_deadline_ms)
{
    (void)pthread_mutex_lock(&worker->lock);
    bool is_stopping = worker->is_stopping;
    if (ret_deadline_ms) {
        *ret_deadline_ms = worker->stop_deadline_ms;
    }
    (void)pthread_mutex_unlock(&worker->lock);
    return is_stopping;
}

static void wait_backoff(struct amqp_worker *worker)
{
    int64_t until_ms = rw_monotonic_ms() + rw_backoff_next_ms(&worker->backoff);
    int64_t left_ms = 0;
    while (!amqp_worker_is_stopping(worker, NULL) && (left_ms = until_ms - rw_monotonic_ms()) > 0) {
        struct pollfd fd = {.fd = worker->wake_fd, .events = POLLIN};
        if (poll(&fd, 1, (int)left_ms) > 0) {
            clear_wake(worker);
        }
    }
}

static void *worker_main(void *arg)
{
    struct amqp_worker *worker = arg;
    (void)pthread_setname_np(pthread_self(), worker->role->thread_name);
    while (!amqp_worker_is_stopping(worker, NULL)) {
        if (connect_broker(worker) == 0) {
            rw_backoff_reset(&worker->backoff);
            set_connected(worker, true);
            worker->role->serve(worker);
            set_connected(worker, false);
        }
        disconnect_broker(worker);
        worker->role->lost(worker);
        wait_backoff(worker);
    }
    return NULL;
}

int amqp_worker_init(struct amqp_worker *worker, const struct amqp_role *role, const struct rw_amqp_options *options,
                     struct rw_error *err)
{
    if (options->config->tls && !options->config->tls_ca_file) {
        return rw_fail(err, CONFIG, "broker: tls needs tls_ca_file");
    }
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->wake_fd < 0) {
        return rw_fail_sys(err, IO, errno, "eventfd");
    }
    worker->role = role;
    worker->options = *options;
    worker->socket_fd = -1;
    (void)pthread_mutex_init(&worker->lock, NULL);
    rw_backoff_init(&worker->backoff, BACKOFF_BASE_MS, BACKOFF_MAX_MS);
    RW_AUTO_FREE char *labels = rw_xasprintf("role=\"%s\",connection=\"%s\"", role->name, options->connection_name);
    worker->connected_gauge = rw_metrics_gauge(options->metrics, "runwave_broker_connected", labels,
                                               "1 while the connection to the broker is up and the broker takes messages.");
    return 0;
}

int amqp_worker_start(struct amqp_worker *worker, struct rw_error *err)
{
    /* Signals are for the program's main thread. */
    sigset_t all;
    sigset_t old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc == 0 ? 0 : rw_fail_sys(err, IO, rc, "pthread_create");
}

void amqp_worker_wake(struct amqp_worker *worker)
{
    const uint64_t one = 1;
    ssize_t rc = write(worker->wake_fd, &one, sizeof(one));
    (void)rc; /* EAGAIN: it is awake for sure */
}

void amqp_worker_stop(struct amqp_worker *worker, uint32_t drain_ms)
{
    (void)pthread_mutex_lock(&worker->lock);
    worker->is_stopping = true;
    worker->stop_deadline_ms = rw_monotonic_ms() + drain_ms;
    if (!atomic_load(&worker->is_connected) && worker->socket_fd >= 0) {
        (void)shutdown(worker->socket_fd, SHUT_RDWR); /* connecting, or blocked by the broker: there is nothing to drain */
    }
    (void)pthread_mutex_unlock(&worker->lock);
    amqp_worker_wake(worker);
    (void)pthread_join(worker->thread, NULL);
}

void amqp_worker_done(struct amqp_worker *worker)
{
    (void)pthread_mutex_destroy(&worker->lock);
    (void)close(worker->wake_fd);
}

void amqp_worker_copy_error(struct amqp_worker *worker, char *out, size_t out_size)
{
    (void)pthread_mutex_lock(&worker->lock);
    (void)snprintf(out, out_size, "%s", worker->last_error);
    (void)pthread_mutex_unlock(&worker->lock);
}
