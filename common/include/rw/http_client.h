/* HTTP client: libcurl's multi interface on a libuv loop, connections reused. All calls and callbacks on the loop's thread. */
#ifndef RW_HTTP_CLIENT_H
#define RW_HTTP_CLIENT_H

#include <uv.h>

#include <rw/bytes.h>

struct rw_http_client;
struct rw_http_call;

struct rw_http_call_options {
    const char *method;         /* "POST" */
    const char *url;            /* "http://pod-manager/leases" */
    const char *unix_socket;    /* path, or NULL for TCP */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct rw_bytes body;       /* copied; len 0: none */
    uint32_t timeout_ms;        /* for the whole call */
    size_t response_bytes_max;
};

/* Exactly once a call, unless it was cancelled. body borrowed. err: NULL when an answer of any status came; else UNAVAILABLE (could
 * not connect: the request was not sent), IO (broke in between: outcome unknown), TIMEOUT, TOO_LARGE. A request that goes out on a kept
 * connection just closed by the server is sent a second time by libcurl: calls must be safe to repeat. done may make and cancel
 * calls and close the client. */
typedef void (*rw_http_called)(void *arg, int status, struct rw_bytes body, const struct rw_error *err);

RW_NODISCARD int rw_http_client_open(uv_loop_t *loop, struct rw_http_client **ret_client, struct rw_error *err);
RW_NODISCARD int rw_http_client_call(struct rw_http_client *client, const struct rw_http_call_options *options, rw_http_called done,
                                     void *arg, struct rw_http_call **ret_call, struct rw_error *err);
void rw_http_call_cancel(struct rw_http_call *call);      /* done is not called any more */
void rw_http_client_close(struct rw_http_client *client); /* calls under way end without done */

#endif
