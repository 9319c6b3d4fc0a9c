/* The api-server's one struct and what its files share.
 *
 * Threads: libmicrohttpd's run the handlers (parse, validate, encode; never wait); the loop's thread owns the database and the waiting
 * clients; the publisher's and the consumer's belong to rw/amqp.h. Work reaches the loop through the mailbox, answers go back to
 * libmicrohttpd from wherever they are ready. */
#ifndef API_API_H
#define API_API_H

#include <stdatomic.h>
#include <uv.h>

#include <rw/amqp.h>
#include <rw/daemon.h>
#include <rw/http_server.h>
#include <rw/language.h>
#include <rw/mailbox.h>
#include <rw/pg.h>

#include "config.h"

struct outbox;
struct waiters;

enum wait_outcome { WAIT_FINAL, WAIT_EXPIRED, WAIT_FAILED, _WAIT_MAX };

struct api_metrics {
    struct rw_counter **submitted; /* by index in the catalogue */
    struct rw_counter *waits[_WAIT_MAX];
    struct rw_gauge *waiting;
    struct rw_counter *not_published; /* the publisher took no message: the sweep will */
    struct rw_gauge *backlog;
};

struct api {
    uv_loop_t *loop;
    const struct api_config *config;
    char *database_password;
    char *broker_password;
    char *token; /* NULL: no authentication */

    struct rw_catalogue *catalogue;
    const char **language_ids; /* n of the catalogue, in its order */
    char *languages_text;      /* the answer of GET /languages */
    size_t languages_len;

    struct rw_metrics *registry;
    struct api_metrics metrics;
    struct rw_health *health;
    struct rw_mailbox *mailbox;
    struct rw_pg *pg;
    struct rw_amqp_publisher *publisher;
    struct rw_amqp_consumer *consumer;
    struct rw_http_server *http;
    struct rw_http_route *routes;
    struct outbox *outbox;
    struct waiters *waiters;

    atomic_size_t n_requests;    /* that the loop has to answer */
    atomic_size_t answers_bytes; /* of tasks, rendered and not yet taken by their clients */
    uv_timer_t drain_timer;
    int64_t drain_expire_ms; /* waiting clients are answered with what there is */
    int64_t drain_end_ms;    /* nothing is waited for any more */
    int64_t drain_flush_ms;  /* 0: marks are not being flushed yet */
};

/* Requests that the loop answers are handed to it and answered with these, so that draining knows how many are left. */
void api_request_post(struct api *api, struct rw_mail *mail);
void api_reply_content(struct api *api, struct rw_http_request *request, int status, struct rw_http_content *content); /* JSON */
void api_reply_json(struct api *api, struct rw_http_request *request, int status, cJSON *json);
void api_reply_error(struct api *api, struct rw_http_request *request, const struct rw_error *err);

/* What a client is told of a database error, which is logged: an answer that did not come in time is 503, as is a connection that broke. */
void api_database_error(const struct rw_error *err, struct rw_error *ret_told);

void api_metrics_init(struct api *api);

/* The rw_daemon of this program. */
extern const struct rw_daemon api_daemon;

#endif
