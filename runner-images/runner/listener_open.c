/* The forms of a listening address. Hosts are numeric: a static program resolves no names, and a pod listens on its own. */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rw/auto.h>

enum { BACKLOG = 16, PORT_MAX = 65535 };

static int number_parse(const char *text, long max, long *ret_number, struct rw_error *err)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > max) {
        return rw_fail(err, CONFIG, "\"%.40s\" is not a number from 0 to %ld", text, max);
    }
    *ret_number = number;
    return 0;
}

static int open_inherited(const char *rest, struct rw_error *err)
{
    long fd;
    int is_listening = 0;
    socklen_t len = sizeof(is_listening);
    if (number_parse(rest, INT32_MAX, &fd, err) < 0) {
        return -1;
    }
    if (getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0 || !is_listening) {
        return rw_fail(err, CONFIG, "descriptor %ld is not a listening socket", fd);
    }
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl((int)fd, F_SETFL, O_NONBLOCK) < 0) {
        return rw_fail_sys(err, IO, errno, "descriptor %ld", fd);
    }
    return (int)fd;
}

static int listen_at(const struct sockaddr *address, socklen_t len, const char *text, struct rw_error *err)
{
    int one = 1;
    RW_AUTO_FD int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || (address->sa_family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) ||
        bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0) {
        return rw_fail_sys(err, IO, errno, "listening at %s", text);
    }
    return rw_take_fd(&fd);
}

static int open_unix(const char *path, char **ret_unix_path, struct rw_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path)) {
        return rw_fail(err, CONFIG, "a unix socket's path has 1 to %zu bytes", sizeof(address.sun_path) - 1);
    }
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    mode_t mask = umask(0111); /* who may reach it is its folder's affair: the scheduler may well be another user than the pod */
    int fd = listen_at((const struct sockaddr *)&address, sizeof(address), path, err);
    (void)umask(mask);
    if (fd >= 0) {
        *ret_unix_path = rw_xstrdup(path);
    }
    return fd;
}

static int open_tcp(const char *rest, struct rw_error *err)
{
    const char *colon = strrchr(rest, ':');
    long port;
    if (!colon || number_parse(colon + 1, PORT_MAX, &port, err) < 0) {
        return rw_fail(err, CONFIG, "tcp:HOST:PORT is wanted");
    }
    bool is_v6 = rest[0] == '[' && colon > rest && colon[-1] == ']';
    RW_AUTO_FREE char *host = is_v6 ? rw_xstrndup(rest + 1, (size_t)(colon - rest) - 2) : rw_xstrndup(rest, (size_t)(colon - rest));
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1) {
        return rw_fail(err, CONFIG, "\"%.60s\" is not a numeric address", host);
    }
    return is_v6 ? listen_at((const struct sockaddr *)&v6, sizeof(v6), rest, err)
                 : listen_at((const struct sockaddr *)&v4, sizeof(v4), rest, err);
}

int listener_open(const char *address, char **ret_unix_path, struct rw_error *err)
{
    *ret_unix_path = NULL;
    if (strncmp(address, "fd:", 3) == 0) {
        return open_inherited(address + 3, err);
    }
    if (strncmp(address, "unix:", 5) == 0) {
        return open_unix(address + 5, ret_unix_path, err);
    }
    if (strncmp(address, "tcp:", 4) == 0) {
        return open_tcp(address + 4, err);
    }
    return rw_fail(err, CONFIG, "an address is fd:N, unix:PATH or tcp:HOST:PORT");
}
