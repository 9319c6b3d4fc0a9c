/* What the files of the HTTP server share. Nothing outside common/src/http_*.c includes this.
 *
 *   http_server.c   start, quiesce, stop; the list of open requests
 *   http_listen.c   the listening socket, and the keeper thread: it accepts connections and shuts down those past their deadline
 *   http_request.c  libmicrohttpd's callbacks: body, handler, suspending
 *   http_check.c    what is checked before the body is read: target, headers, route, token
 *   http_reply.c    answers, from any thread */
#ifndef RW_HTTP_INTERNAL_H
#define RW_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/un.h>

#include <rw/http_server.h>

enum {
    HTTP_PARAMS_MAX = 4,
    HTTP_VALUES_MAX = 128,                    /* header lines and query arguments of one request */
    HTTP_REPLY_HEADERS_MAX = 8,               /* extra ones */
    HTTP_STATUS_CLASSES = 3,                  /* 2xx, 4xx, 5xx: no others are sent */
    HTTP_DISCARD_BYTES_MAX = 8 * 1024 * 1024, /* of a refused body, so that the client gets to read why */
    HTTP_STOP_FLUSH_MS = 1000,                /* for the last 503s to leave */
};

/* One client connection. Lives from accept until libmicrohttpd closes it. */
struct http_connection {
    struct http_connection *prev, *next; /* in the server's list, under its lock */
    int fd;
    _Atomic int64_t deadline_ms; /* monotonic; the keeper shuts the connection down once it is past */
    bool is_shut;                /* keeper's */
};

enum http_state {
    HTTP_READING,   /* the request comes in */
    HTTP_HANDLING,  /* the handler runs */
    HTTP_SUSPENDED, /* the handler returned without an answer */
    HTTP_ANSWERED,  /* a response is there, or was sent */
};

struct http_value { /* a header line or a query argument, in the request's own memory */
    const char *name;
    const char *value;
    bool is_header;
};

struct http_param {
    const char *name; /* the route's, behind the ':' */
    size_t name_len;
    char *value;
};

/* One request. Two parties hold a reference: libmicrohttpd's side until the request is completed, and from the handler's call on
 * its owner, until it answers. So an answer that comes after the server gave the request up touches only this struct. */
struct rw_http_request {
    struct rw_http_request *prev, *next; /* in the server's list of open requests, under its lock */
    pthread_mutex_t lock;                /* guards references, state, status, response */
    unsigned references;
    enum http_state state;
    unsigned status;
    struct MHD_Response *response;

    /* libmicrohttpd's thread only */
    struct rw_http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *mhd;
    bool is_begun;   /* headers were checked */
    bool is_open;    /* in the server's list */
    bool must_close; /* the connection cannot be trusted with another request */
    uint64_t discarded_bytes;
    int64_t started_us;
    size_t route;            /* index; n_routes when there is none */
    struct rw_error refusal; /* code RW_OK: none */

    /* written before the handler runs, then read by its owner */
    char *target; /* as sent; the path alone once the query was cut off */
    struct rw_trace trace;
    struct http_param params[HTTP_PARAMS_MAX];
    size_t n_params;
    struct http_value *values;
    size_t n_values;
    struct rw_buffer body;

    /* owner's */
    struct {
        char *name;
        char *value;
    } reply_headers[HTTP_REPLY_HEADERS_MAX];
    size_t n_reply_headers;
};

struct http_route_metrics {
    struct rw_counter *requests[HTTP_STATUS_CLASSES];
    struct rw_histogram *seconds;
};

struct rw_http_server {
    struct rw_http_server_options options;
    bool wants_token;
    uint8_t token_hash[crypto_generichash_BYTES];
    struct MHD_Daemon *mhd;

    int listen_fd;
    char *unix_path; /* NULL on TCP */
    uint16_t port;
    int wake_fd; /* eventfd: wakes the keeper */
    pthread_t keeper;
    bool has_keeper;
    atomic_bool is_quiesced; /* no more connections */
    atomic_bool is_stopping; /* no more requests */
    atomic_bool keeper_ends;

    pthread_mutex_t lock; /* guards connections, n_connections, requests */
    pthread_cond_t idle;  /* requests became empty */
    struct http_connection *connections;
    size_t n_connections;
    struct rw_http_request *requests;

    struct http_route_metrics *route_metrics; /* n_routes + 1 */
    struct rw_gauge *connections_gauge;
    struct rw_counter *timeouts;
};

/* http_listen.c */
RW_NODISCARD int http_listen(struct rw_http_server *server, const char *address, struct rw_error *err);
void *http_keeper_main(void *server);
void http_keeper_wake(struct rw_http_server *server);

/* http_request.c: libmicrohttpd's callbacks; cls is the server */
void *http_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
                                const char *data, size_t *data_len, void **state);
void http_on_completed(void *cls, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode code);
void http_on_connection(void *cls, struct MHD_Connection *mhd, void **state, enum MHD_ConnectionNotificationCode code);
void http_deadline_set(struct rw_http_request *request, bool has_deadline);

/* http_check.c: copies headers and query, begins the trace, finds the route. *ret_len: the body's announced length, UINT64_MAX when
 * it comes in chunks. must_close is set when the connection cannot go on. */
RW_NODISCARD int http_check_head(struct rw_http_request *request, const char *method, uint64_t *ret_len, struct rw_error *err);

/* http_reply.c */
void http_request_unref(struct rw_http_request *request);
/* The response of an error, with request_id and, where it may help, Retry-After. Owned by the caller. */
struct MHD_Response *http_problem_new(struct rw_http_request *request, const struct rw_error *err,
                                      const struct rw_field_errors *fields);
/* Put the response (taken) into the request unless there is one already, and wake its connection. */
void http_answer(struct rw_http_request *request, unsigned status, struct MHD_Response *response);
/* Answer 503 in the owner's place, who may be at work on the request meanwhile. The caller holds a reference of its own. */
void http_abandon(struct rw_http_request *request);

/* http_server.c */
void http_request_open(struct rw_http_request *request);
void http_request_close(struct rw_http_request *request);

#endif
