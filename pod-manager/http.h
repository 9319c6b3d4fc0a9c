/* The lease API (docs/lease-api.md) on the HTTP server's threads. Requests are checked there and then posted to the loop. */
#ifndef HTTP_H
#define HTTP_H

#include <rw/http_server.h>
#include <rw/mailbox.h>

#include "manager.h"

struct http_api;

struct http_api_options {
    uv_loop_t *loop;
    struct manager *manager; /* borrowed until closed, as all here */
    struct rw_metrics *metrics;
    const struct rw_health *health;
    const char *token;
};

RW_NODISCARD int http_api_start(const struct http_api_options *options, struct http_api **ret_api, struct rw_error *err);
/* Loop thread: requests that are left are answered 503; no thread posts afterwards. Before manager_close. */
void http_api_close(struct http_api *api);

#endif
