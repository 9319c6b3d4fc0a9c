/* What the files of the leases share: leases.c (acquire, give back, report) and leases_look.c (ask after one). */
#ifndef SCHEDULER_LEASES_INTERNAL_H
#define SCHEDULER_LEASES_INTERNAL_H

#include "leases.h"

enum {
    ANSWER_BYTES_MAX = 16384,
    CALL_MS = 5000,     /* on top of the wait that the pod-manager was asked for */
    STARTED_MAX = 4096, /* leases the pod-manager has not been told of; more end early, as if this scheduler had been killed */
};

struct leases {
    uv_loop_t *loop;
    struct rw_http_client *client;
    const char *url;
    const char *unix_socket;
    uint32_t wait_ms;
    uint32_t deadline_ms;
    char *authorization; /* a header line; NULL: none */
    uv_timer_t probe_timer;
    struct rw_http_call *probe;
    struct rw_uuid started[STARTED_MAX]; /* oldest first */
    size_t n_started;
    size_t n_sent;    /* of them, with the probe under way */
    int is_answering; /* -1: not known yet */
    void (*on_state)(void *arg, bool is_answering);
    void *arg;
    struct lease_request *requests;
    struct release *releases;
    struct lease_look *looks;
    size_t n_pending;
};

/* The pod-manager answered, or did not. */
void leases_report(struct leases *leases, bool is_answering);
int leases_call(struct leases *leases, const char *method, const char *path, struct rw_bytes body, uint32_t timeout_ms,
                rw_http_called done, void *arg, struct rw_http_call **ret_call, struct rw_error *err);
void leases_look_close(struct leases *leases); /* after the HTTP client was closed */

#endif
