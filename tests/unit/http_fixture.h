/* A server with a few routes, and a client that sends bytes as they are, for the tests of the HTTP server. */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

#include <pthread.h>

#include "support.h"

#include <rw/http_server.h>

enum { FIXTURE_BODY_MAX = 1000, FIXTURE_REPLY_BYTES = 64 * 1024, FIXTURE_LATE_MAX = 256 };

/* Routes: GET /echo/:name (name, query q), POST /body (its length), GET /late (answered by fixture_answer_late or nobody),
 * GET /soon (answered by another thread at once), GET /token, GET /healthz, GET /big (a megabyte). */
struct fixture {
    struct rw_config_http config;
    struct rw_metrics *metrics;
    struct rw_http_server *server;
    pthread_mutex_t lock; /* guards late, n_late */
    struct rw_http_request *late[FIXTURE_LATE_MAX];
    size_t n_late;
};

struct fixture_options {
    const char *listen; /* NULL: any port on loopback */
    const char *token;
    uint32_t timeout_ms; /* 0: 10 s */
    uint32_t connections_max;
    uint32_t connections_per_ip_max;
};

struct fixture *fixture_start(const struct fixture_options *options);
void fixture_stop(struct fixture *fixture, uint32_t drain_ms);
/* Answer those waiting at /late with 200 "late"; returns how many. */
size_t fixture_answer_late(struct fixture *fixture);
void fixture_wait_late(struct fixture *fixture, size_t n);

struct reply {
    int status;     /* 0: the connection ended without one */
    bool is_closed; /* by the server, after the reply */
    size_t len;
    char text[FIXTURE_REPLY_BYTES]; /* of everything that came, NUL-terminated */
};

int fixture_connect(const struct fixture *fixture);
void fixture_send(int fd, const char *text);
/* Read until the server closes, or it is quiet for quiet_ms after something came (at most 5 s in all). */
void fixture_read(int fd, int quiet_ms, struct reply *ret_reply);
/* Connect, send, read until closed or quiet, disconnect. */
void fixture_ask(const struct fixture *fixture, const char *request, struct reply *ret_reply);
size_t count_of(const char *text, const char *part);

#endif
