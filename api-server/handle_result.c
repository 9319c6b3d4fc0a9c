/* GET /result/:task_id: the row is read by the loop, once for everyone who asks at the same time. */
#include "handlers.h"
#include "wait.h"

struct lookup {
    struct rw_mail mail;
    struct api *api;
    struct rw_http_request *request;
    struct rw_uuid id;
    struct wait wait;
};

static void run_lookup(struct rw_mail *mail)
{
    struct lookup *lookup = (struct lookup *)mail;
    waiters_add(lookup->api->waiters, &lookup->id, lookup->request, CLIENT_RESULT, &lookup->wait, true);
    free(lookup);
}

static int parse(const struct api *api, const struct rw_http_request *request, struct lookup *lookup,
                 struct rw_field_errors *errors, struct rw_error *err)
{
    if (rw_uuid_parse(rw_http_param(request, "task_id"), &lookup->id, NULL)) {
        rw_field_errors_add(errors, "task_id", "must be a UUID");
        return rw_fail(err, FIELDS, "the task id is not a UUID");
    }
    return wait_parse(rw_http_query(request, "wait"), api->config->wait_max_s, &lookup->wait, errors, err);
}

void handle_result(void *ctx, struct rw_http_request *request)
{
    struct api *api = ctx;
    struct lookup *lookup = rw_xcalloc(1, sizeof(*lookup));
    struct rw_field_errors errors = {0};
    struct rw_error err = {0};

    if (parse(api, request, lookup, &errors, &err)) {
        rw_http_reply_error(request, &err, &errors);
        free(lookup);
        return;
    }
    lookup->mail.run = run_lookup;
    lookup->api = api;
    lookup->request = request;
    api_request_post(api, &lookup->mail);
}
