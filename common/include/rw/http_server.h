/* HTTP server: libmicrohttpd's epoll threads behind a table of routes. Handlers run on a server thread with the whole body at
 * hand and answer once: at once, or later from any thread while the connection is suspended.
 *
 * Refused before a handler runs: unknown paths (404) and methods (405 with Allow), a body past the route's bound (413), an encoded
 * NUL or other control character in the path, both Transfer-Encoding and Content-Length, several Content-Lengths (400), a request
 * that takes longer than request_timeout_ms in all (its connection is shut down). Errors are application/problem+json (RFC 9457). */
#ifndef RW_HTTP_SERVER_H
#define RW_HTTP_SERVER_H

#include <stdatomic.h>

#include <rw/config.h>
#include <rw/json.h>
#include <rw/metrics.h>
#include <rw/trace.h>

struct rw_http_server;
struct rw_http_request;
struct rw_http_content;

typedef void (*rw_http_handler)(void *ctx, struct rw_http_request *request);

struct rw_http_route {
    const char *method;
    const char *path; /* "/result/:task_id": a part that starts with ':' matches one non-empty path segment */
    size_t body_bytes_max;
    rw_http_handler handler;
};

struct rw_http_server_options {
    const struct rw_config_http *config; /* borrowed until stop */
    const struct rw_http_route *routes;  /* static */
    size_t n_routes;
    void *ctx;                  /* given to handlers */
    struct rw_metrics *metrics; /* requests by route and status, durations, connections */
    const char *bearer_token;   /* borrowed; NULL: none asked. When set every route but /healthz, /readyz, /metrics wants it */
};

RW_NODISCARD int rw_http_server_start(const struct rw_http_server_options *options, struct rw_http_server **ret_server,
                                      struct rw_error *err);
/* The port in use (for listen ":0"); 0 on a unix socket. */
uint16_t rw_http_server_port(const struct rw_http_server *server);
/* Stop accepting. Requests under way go on. */
void rw_http_server_quiesce(struct rw_http_server *server);
/* Waits up to drain_ms for open requests to be answered; those left are answered 503. Then stops the threads and frees. */
void rw_http_server_stop(struct rw_http_server *server, uint32_t drain_ms);

/* Borrowed until the reply; NULL when absent. */
const char *rw_http_param(const struct rw_http_request *request, const char *name);
const char *rw_http_query(const struct rw_http_request *request, const char *name);
const char *rw_http_header(const struct rw_http_request *request, const char *name);
struct rw_bytes rw_http_body(const struct rw_http_request *request);
/* The request's own trace: a child of the traceparent header, or a fresh one. */
const struct rw_trace *rw_http_trace(const struct rw_http_request *request);
/* Whether the client of a request that waits for its answer has closed its connection by now: libmicrohttpd does not look while a
 * connection is suspended. Any thread, before the reply. False while it is not known. */
bool rw_http_client_left(struct rw_http_request *request);
/* Extra header of the reply; before replying. Values with control characters are refused by dropping the header. */
void rw_http_set_header(struct rw_http_request *request, const char *name, const char *value);

/* A body that answers share. data is from malloc and taken. alive (may be NULL) is the sum of the lengths of all that are alive, those
 * under way to slow clients included; it must outlive them. */
struct rw_http_content *rw_http_content_new(void *data, size_t len, atomic_size_t *alive);
void rw_http_content_unref(struct rw_http_content *content);
RW_DEFINE_AUTO(struct rw_http_content *, rw_http_content_unref);

/* Each answers the request and gives it up; any thread, exactly one of them exactly once. */
void rw_http_reply(struct rw_http_request *request, int status, const char *content_type, struct rw_bytes body); /* copies */
/* The same with a content that several answers share, without copying it; the caller keeps its own reference. */
void rw_http_reply_content(struct rw_http_request *request, int status, const char *content_type, struct rw_http_content *content);
void rw_http_reply_json(struct rw_http_request *request, int status, cJSON *json); /* takes json */
void rw_http_reply_error(struct rw_http_request *request, const struct rw_error *err, const struct rw_field_errors *fields);

#endif
