/* The listening socket, and the keeper: the one thread that accepts connections, holds their number to the limit, and shuts down a
 * connection whose request or answer is past its absolute deadline (a client that sends a header line a second never trips a
 * timeout of inactivity). */
#include "http_internal.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utlist.h>

#include <rw/clock.h>

enum { KEEPER_PERIOD_MS = 200 };

static const char unix_prefix[] = "unix:";

/* A socket file that nobody listens on is left over from a crash; a live one is not ours to take. */
static int remove_stale_socket(const struct sockaddr_un *address, struct rw_error *err)
{
    RW_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return rw_fail_sys(err, IO, errno, "socket");
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
        return rw_fail(err, CONFIG, "another server listens on %s", address->sun_path);
    }
    if (errno == ECONNREFUSED && unlink(address->sun_path)) {
        return rw_fail_sys(err, IO, errno, "remove %s", address->sun_path);
    }
    return 0;
}

static int listen_unix(struct rw_http_server *server, const char *path, struct rw_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(address.sun_path)) {
        return rw_fail(err, CONFIG, "the path of a unix socket has 1 to %zu bytes", sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, len + 1);
    if (remove_stale_socket(&address, err)) {
        return -1;
    }
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listen_fd < 0) {
        return rw_fail_sys(err, IO, errno, "socket");
    }
    if (bind(server->listen_fd, (const struct sockaddr *)&address, sizeof(address))) {
        return rw_fail_sys(err, IO, errno, "bind %s", path);
    }
    server->unix_path = rw_xstrdup(path);
    if (chmod(path, 0660) || listen(server->listen_fd, SOMAXCONN)) {
        return rw_fail_sys(err, IO, errno, "listen on %s", path);
    }
    return 0;
}

/* "host:port", "[v6]:port" or ":port" into its two parts; both owned by the caller. */
static int split_address(const char *address, char **ret_host, char **ret_port, struct rw_error *err)
{
    const char *colon = strrchr(address, ':');
    size_t host_len = colon ? (size_t)(colon - address) : 0;
    bool is_bracketed = host_len >= 2 && address[0] == '[' && address[host_len - 1] == ']';

    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return rw_fail(err, CONFIG, "listen address \"%s\" is neither HOST:PORT, [HOST]:PORT nor unix:PATH", address);
    }
    *ret_host = is_bracketed ? rw_xstrndup(address + 1, host_len - 2) : rw_xstrndup(address, host_len);
    *ret_port = rw_xstrdup(colon + 1);
    return 0;
}

static void free_addresses(struct addrinfo *addresses)
{
    freeaddrinfo(addresses);
}
RW_DEFINE_AUTO(struct addrinfo *, free_addresses);

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &len)) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &address, sizeof(in6));
        return ntohs(in6.sin6_port);
    }
    struct sockaddr_in in4;
    memcpy(&in4, &address, sizeof(in4));
    return ntohs(in4.sin_port);
}

static int listen_tcp(struct rw_http_server *server, const char *address, struct rw_error *err)
{
    RW_AUTO_FREE char *host = NULL;
    RW_AUTO_FREE char *port = NULL;
    RW_AUTO(free_addresses) struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};

    if (split_address(address, &host, &port, err)) {
        return -1;
    }
    int status = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (status || !found) {
        return rw_fail(err, CONFIG, "listen address \"%s\": %s", address, gai_strerror(status));
    }
    server->listen_fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listen_fd < 0) {
        return rw_fail_sys(err, IO, errno, "socket");
    }
    int on = 1;
    if (setsockopt(server->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(server->listen_fd, found->ai_addr, found->ai_addrlen) || listen(server->listen_fd, SOMAXCONN)) {
        return rw_fail_sys(err, IO, errno, "listen on %s", address);
    }
    server->port = bound_port(server->listen_fd);
    return 0;
}

int http_listen(struct rw_http_server *server, const char *address, struct rw_error *err)
{
    size_t prefix_len = sizeof(unix_prefix) - 1;
    if (strncmp(address, unix_prefix, prefix_len) == 0) {
        return listen_unix(server, address + prefix_len, err);
    }
    return listen_tcp(server, address, err);
}

/* ---- the keeper ---- */

void http_keeper_wake(struct rw_http_server *server)
{
    uint64_t one = 1;
    ssize_t written = write(server->wake_fd, &one, sizeof(one));
    (void)written; /* full means that the keeper has yet to wake up: as good */
}

static bool is_full(struct rw_http_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    bool full = server->n_connections >= server->options.config->connections_max;
    (void)pthread_mutex_unlock(&server->lock);
    return full;
}

static void count_connection(struct rw_http_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->n_connections++;
    (void)pthread_mutex_unlock(&server->lock);
    rw_gauge_add(server->connections_gauge, 1);
}

static void uncount_connection(struct rw_http_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->n_connections--;
    (void)pthread_mutex_unlock(&server->lock);
    rw_gauge_add(server->connections_gauge, -1);
}

/* Accept what is there. False when accepting fails for a reason that does not go away at once (descriptors used up). */
static bool accept_connections(struct rw_http_server *server)
{
    while (!is_full(server)) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof(address);
        int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            bool is_passing = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
            return is_passing;
        }
        count_connection(server);
        if (MHD_add_connection(server->mhd, fd, (const struct sockaddr *)&address, len) != MHD_YES) {
            uncount_connection(server); /* past the limit by address; libmicrohttpd has closed it */
        }
    }
    return true;
}

/* The lock is held, so that no connection is closed, and its descriptor used again, between the look and the shutdown. */
static void shut_late_connections(struct rw_http_server *server)
{
    int64_t now_ms = rw_monotonic_ms();
    struct http_connection *connection = NULL;

    (void)pthread_mutex_lock(&server->lock);
    DL_FOREACH(server->connections, connection)
    {
        if (!connection->is_shut && atomic_load(&connection->deadline_ms) <= now_ms) {
            connection->is_shut = true;
            (void)shutdown(connection->fd, SHUT_RDWR);
            rw_counter_add(server->timeouts, 1);
        }
    }
    (void)pthread_mutex_unlock(&server->lock);
}

/* Nothing is accepted any more, so that a client sees at once that it has to go elsewhere. */
static void close_listener(struct rw_http_server *server)
{
    (void)close(server->listen_fd);
    server->listen_fd = -1;
    if (server->unix_path) {
        (void)unlink(server->unix_path);
        free(server->unix_path);
        server->unix_path = NULL;
    }
}

void *http_keeper_main(void *arg)
{
    struct rw_http_server *server = arg;
    bool can_accept = true;
    int64_t scan_ms = rw_monotonic_ms() + KEEPER_PERIOD_MS;

    (void)pthread_setname_np(pthread_self(), "http-keeper");
    while (!atomic_load(&server->keeper_ends)) {
        if (atomic_load(&server->is_quiesced) && server->listen_fd >= 0) {
            close_listener(server);
        }
        struct pollfd fds[] = {
            {.fd = server->wake_fd, .events = POLLIN},
            {.fd = can_accept && server->listen_fd >= 0 && !is_full(server) ? server->listen_fd : -1, .events = POLLIN},
        };
        int64_t wait_ms = scan_ms - rw_monotonic_ms();
        (void)poll(fds, RW_ARRAY_SIZE(fds), wait_ms > 0 ? (int)wait_ms : 0);
        if (fds[0].revents) {
            uint64_t count = 0;
            ssize_t got = read(server->wake_fd, &count, sizeof(count));
            (void)got;
        }
        if (fds[1].revents) {
            can_accept = accept_connections(server);
        }
        if (rw_monotonic_ms() >= scan_ms) {
            shut_late_connections(server);
            can_accept = true;
            scan_ms = rw_monotonic_ms() + KEEPER_PERIOD_MS;
        }
    }
    return NULL;
}
