/* HTTP client: libcurl's multi interface on a libuv loop, connections reused. All calls and callbacks on the loop's thread. */
#ifndef RW_HTTP_CLIENT_H
#define RW_HTTP_CLIENT_H

#include <uv.h>

#include <rw/bytes.h>

struct rw_http_client;
struct rw_http_call;

/* Texts in PEM, borrowed until rw_http_client_call returns. NULL: the system's authorities; no client certificate. */
struct rw_http_tls {
    const char *ca_pem;
    const char *cert_pem;
    const char *key_pem;
};

struct rw_http_call_options {
    const char *method;            /* "POST" */
    const char *url;               /* "http://pod-manager/leases" */
    const char *unix_socket;       /* path, or NULL for TCP */
    const char *const *headers;    /* "Name: value", NULL-terminated; may be NULL */
    struct rw_bytes body;          /* copied; len 0: none */
    uint32_t timeout_ms;           /* for the whole call */
    uint32_t idle_timeout_ms;      /* between two pieces of the answer, in whole seconds; 0: no such limit */
    size_t response_bytes_max;     /* of the body collected for `done` */
    const struct rw_http_tls *tls; /* for https; NULL: the system's authorities, no client certificate */
    /* For an answer that is read as it comes (a watch, a stream of events): given every piece of the body of an answer with a
     * status below 300, which is then not collected. From inside libcurl: must not make or cancel calls. false ends the call with
     * CANCELLED. */
    bool (*on_data)(void *arg, struct rw_bytes data);
};

struct rw_http_answer {
    int status;             /* 0 when none came */
    uint32_t retry_after_s; /* the Retry-After header; 0 when there was none */
    struct rw_bytes body;   /* borrowed */
};

/* Exactly once a call, unless it was cancelled. answer: borrowed, never NULL. err: NULL when an answer of any status came; else
 * UNAVAILABLE (could not connect: the request was not sent), IO (broke in between: outcome unknown), TIMEOUT, TOO_LARGE, CANCELLED
 * (on_data had enough). A request that goes out on a kept connection just closed by the server is sent a second time by libcurl:
 * calls must be safe to repeat. done may make and cancel calls and close the client. */
typedef void (*rw_http_called)(void *arg, const struct rw_http_answer *answer, const struct rw_error *err);

RW_NODISCARD int rw_http_client_open(uv_loop_t *loop, struct rw_http_client **ret_client, struct rw_error *err);
RW_NODISCARD int rw_http_client_call(struct rw_http_client *client, const struct rw_http_call_options *options, rw_http_called done,
                                     void *arg, struct rw_http_call **ret_call, struct rw_error *err);
void rw_http_call_cancel(struct rw_http_call *call);      /* done is not called any more */
void rw_http_client_close(struct rw_http_client *client); /* calls under way end without done */

#endif
