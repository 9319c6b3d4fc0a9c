/* The routes and their handlers. Each handler runs on one of libmicrohttpd's threads; ctx is struct api. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api.h"

/* The table of routes, with the configured bound on bodies; owned by the caller. */
struct rw_http_route *handlers_routes(const struct api *api, size_t *ret_n);
/* The answer of GET /languages: it does not change while the program runs. */
char *handlers_languages_text(const struct rw_catalogue *catalogue, size_t *ret_len);

void handle_submit(void *ctx, struct rw_http_request *request);
void handle_result(void *ctx, struct rw_http_request *request);

#endif
