/* POST /submit: validated and encoded on libmicrohttpd's thread, inserted by the loop, answered once the row is committed,
 * published.
 *
 * The insert is repeated while its outcome is unknown, which ON CONFLICT makes safe. A client that waits is registered before the
 * publish, so that the event of the task's end finds it. */
#include <string.h>
#include <strings.h>

#include <rw/clock.h>

#include "handlers.h"
#include "outbox.h"
#include "store.h"
#include "submission.h"
#include "task_json.h"
#include "wait.h"

enum { INSERT_TIMEOUT_MS = 5000, INSERT_GIVE_UP_MS = 10000 };

struct submit {
    struct rw_mail mail;
    struct api *api;
    struct rw_http_request *request;
    struct rw_uuid id;
    struct submission submission;
    struct rw_trace trace;
    struct wait wait;
    int64_t give_up_ms;
    bool is_repeated;
};

static void submit_free(struct submit *submit)
{
    submission_done(&submit->submission);
    free(submit);
}

static void on_inserted(void *arg, const PGresult *result, const struct rw_error *err);

static void insert(struct submit *submit)
{
    struct rw_pg_params params = {0};
    rw_pg_param_uuid(&params, &submit->id);
    rw_pg_param_text(&params, submit->submission.language->id);
    rw_pg_param_text(&params, submit->submission.version->version);
    rw_pg_param_text(&params, submit->submission.isolation);
    rw_pg_param_text(&params, submit->trace.traceparent);
    rw_pg_param_bytes(&params, rw_bytes_of(submit->submission.job, submit->submission.job_len));
    rw_pg_exec(submit->api->pg, STORE_INSERT, &params, INSERT_TIMEOUT_MS, on_inserted, submit);
}

static void count_submitted(struct api *api, const struct rw_language *language)
{
    for (size_t i = 0; i < rw_catalogue_count(api->catalogue); i++) {
        if (rw_catalogue_at(api->catalogue, i) == language) {
            rw_counter_add(api->metrics.submitted[i], 1);
        }
    }
}

static void answer(struct submit *submit)
{
    struct api *api = submit->api;
    char url[TASK_URL_BYTES];

    rw_http_set_header(submit->request, "Location", task_url(&submit->id, url));
    if (submit->wait.ms > 0) {
        waiters_add(api->waiters, &submit->id, submit->request, CLIENT_SUBMIT, &submit->wait, submit->is_repeated);
    } else {
        api_reply_json(api, submit->request, 202, task_accepted_json(&submit->id, RW_TASK_QUEUED));
    }
}

static void on_inserted(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct submit *submit = arg;
    (void)result;

    if (err && err->code == RW_ERR_UNAVAILABLE && rw_monotonic_ms() < submit->give_up_ms) {
        submit->is_repeated = true;
        insert(submit);
        return;
    }
    if (err) {
        struct rw_error told = {0};
        api_database_error(err, &told);
        api_reply_error(submit->api, submit->request, &told);
    } else {
        count_submitted(submit->api, submit->submission.language);
        answer(submit);
        outbox_publish(submit->api->outbox, &submit->id, submit->submission.language->id, &submit->trace);
    }
    submit_free(submit);
}

static void run_submit(struct rw_mail *mail)
{
    struct submit *submit = (struct submit *)mail;
    if (!outbox_has_room(submit->api->outbox)) {
        struct rw_error err = {0};
        (void)rw_error_set(&err, RW_ERR_OVERLOADED, 0, __func__, "the broker is away and too many tasks wait for it");
        rw_http_set_header(submit->request, "Retry-After", "5");
        api_reply_error(submit->api, submit->request, &err);
        submit_free(submit);
        return;
    }
    submit->give_up_ms = rw_monotonic_ms() + INSERT_GIVE_UP_MS;
    insert(submit);
}

/* Any type is read as JSON, since `curl -d` says application/x-www-form-urlencoded; a multipart form cannot be meant. */
static int check_media_type(const struct rw_http_request *request, struct rw_error *err)
{
    static const char multipart[] = "multipart/";
    const char *type = rw_http_header(request, "Content-Type");
    if (type && strncasecmp(type, multipart, sizeof(multipart) - 1) == 0) {
        return rw_fail(err, MEDIA_TYPE, "the body must be JSON, not a multipart form");
    }
    return 0;
}

void handle_submit(void *ctx, struct rw_http_request *request)
{
    struct api *api = ctx;
    struct submit *submit = rw_xcalloc(1, sizeof(*submit));
    struct rw_field_errors errors = {0};
    struct rw_error err = {0};
    struct submission_rules rules = {.catalogue = api->catalogue};

    memcpy(rules.is_offered, api->config->is_offered, sizeof(rules.is_offered));
    if (check_media_type(request, &err) ||
        wait_parse(rw_http_query(request, "wait"), api->config->wait_max_s, &submit->wait, &errors, &err) ||
        submission_parse(&rules, rw_http_body(request), &submit->submission, &errors, &err)) {
        rw_http_reply_error(request, &err, &errors);
        submit_free(submit);
        return;
    }
    submit->mail.run = run_submit;
    submit->api = api;
    submit->request = request;
    submit->id = rw_uuid_v7();
    submit->trace = *rw_http_trace(request);
    api_request_post(api, &submit->mail);
}
