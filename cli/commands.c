/* The commands: what is asked of the server, in which order, and for how long.
 *
 * Waiting is done by the server (?wait=), in steps short enough for any proxy in between. Once a task's id is known, a server
 * that is away for a moment is waited for too; a submission is never repeated, since nobody would know whether it ran twice. */
#include "commands.h"

#include <string.h>
#include <time.h>

#include <rw/backoff.h>
#include <rw/clock.h>
#include <rw/uuid.h>

#include "request.h"
#include "result.h"
#include "text.h"
#include "transport.h"

enum {
    WAIT_STEP_S = 20,
    ANSWER_TIMEOUT_MS = 30000, /* on top of the waiting that was asked for */
    ANSWER_BYTES_MAX = 256 * 1024 * 1024,
    ANSWER_DEPTH_MAX = 16,
    ANSWER_VALUES_MAX = 100000,
    PAUSE_BASE_MS = 50,
    PAUSE_MAX_MS = 1000,
    PATH_BYTES = 128,
};

struct session {
    const struct cli_options *options;
    FILE *out;
    FILE *log;
    struct transport *transport;
    struct transport_reply reply;
    cJSON *json; /* of the newest answer; NULL when it was none */
    int64_t deadline_ms;
};

static int parse_answer(struct session *session, struct rw_error *err)
{
    static const struct rw_json_limits limits = {
        .bytes_max = ANSWER_BYTES_MAX, .depth_max = ANSWER_DEPTH_MAX, .values_max = ANSWER_VALUES_MAX};
    cJSON_Delete(rw_take(session->json));
    RW_AUTO_BUFFER struct rw_buffer guarded;
    rw_buffer_init(&guarded, ANSWER_BYTES_MAX);
    if (text_guard(rw_buffer_view(&session->reply.body), &guarded, err) < 0 ||
        rw_json_parse(rw_buffer_view(&guarded), &limits, &session->json, err) < 0) {
        return rw_error_wrap(err, "the server's answer");
    }
    return 0;
}

/* The error that has this HTTP status; the first of the table when several have. */
static enum rw_err error_of_status(int status)
{
    for (int code = RW_OK + 1; code < _RW_ERR_MAX; code++) {
        if (rw_err_http_status((enum rw_err)code) == status) {
            return (enum rw_err)code;
        }
    }
    return RW_ERR_PROTOCOL;
}

static int fail_problem(struct session *session, struct rw_error *err)
{
    const cJSON *fault = NULL;
    cJSON_ArrayForEach(fault, cJSON_GetObjectItemCaseSensitive(session->json, "errors"))
    {
        (void)fprintf(session->log, "runwave: %s: %s\n", text_member(fault, "field"), text_member(fault, "message"));
    }
    return rw_error_set(err, error_of_status(session->reply.status), 0, __func__, "%s: %s (HTTP %d)",
                        text_member(session->json, "title"), text_member(session->json, "detail"), session->reply.status);
}

/* One call. The answer is in session->reply, parsed in session->json; an answer of 400 and above is a failure. */
static int call(struct session *session, const char *path, const char *body, uint32_t wait_s, struct rw_error *err)
{
    if (transport_call(session->transport, path, body, ANSWER_TIMEOUT_MS + wait_s * 1000, &session->reply, err) < 0 ||
        parse_answer(session, err) < 0) {
        return -1;
    }
    return session->reply.status < 400 ? 0 : fail_problem(session, err);
}

static void print_json(struct session *session)
{
    (void)fwrite(session->reply.body.data, 1, session->reply.body.len, session->out);
    (void)fputc('\n', session->out);
}

/* ---- waiting ---- */

static uint32_t next_step_s(const struct session *session)
{
    int64_t left_ms = session->deadline_ms - rw_monotonic_ms();
    if (left_ms <= 0) {
        return 0;
    }
    return left_ms >= (int64_t)WAIT_STEP_S * 1000 ? WAIT_STEP_S : (uint32_t)((left_ms + 999) / 1000);
}

static void pause_ms(uint32_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Ask for the result of the task until it is final or the deadline has passed; session->json is the newest answer. */
static int await_result(struct session *session, const char *task_id, struct rw_error *err)
{
    struct rw_backoff backoff;
    rw_backoff_init(&backoff, PAUSE_BASE_MS, PAUSE_MAX_MS);
    for (;;) {
        uint32_t step_s = next_step_s(session);
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof(path), "/result/%s?wait=%u", task_id, step_s);
        int outcome = call(session, path, NULL, step_s, err);
        if (outcome == 0 && (rw_task_state_is_final(result_state(session->json)) || next_step_s(session) == 0)) {
            return 0;
        }
        if (outcome < 0 && (!rw_err_is_retryable(err->code) || next_step_s(session) == 0)) {
            return -1;
        }
        pause_ms(rw_backoff_next_ms(&backoff));
    }
}

/* Print the answer about a task; returns the exit status, or -1. */
static int report(struct session *session, struct rw_error *err)
{
    enum rw_task_state state = result_state(session->json);
    if (state == _RW_TASK_INVALID) {
        return rw_fail(err, PROTOCOL, "the server's answer names no known task state");
    }
    if (session->options->is_json) {
        print_json(session);
    } else if (rw_task_state_is_final(state)) {
        if (result_print(session->json, session->out, session->log, err) < 0) {
            return -1;
        }
    } else {
        (void)fprintf(session->log, "runwave: task %s is %s\n", text_member(session->json, "task_id"), rw_task_state_name(state));
    }
    return result_exit_status(session->json);
}

/* ---- commands: each returns the exit status, or -1 with *err filled ---- */

static int find_language(struct session *session, char **ret_language, struct rw_error *err)
{
    if (session->options->language) {
        *ret_language = rw_xstrdup(session->options->language);
        return 0;
    }
    const char *language = NULL;
    if (call(session, "/languages", NULL, 0, err) < 0 ||
        request_guess_language(session->json, session->options->operands.items[0], &language, err) < 0) {
        return -1;
    }
    *ret_language = rw_xstrdup(language);
    return 0;
}

static int submit(struct session *session, struct rw_error *err)
{
    RW_AUTO_FREE char *language = NULL;
    RW_AUTO(cJSON_Delete) cJSON *request = NULL;
    if (find_language(session, &language, err) < 0 || request_build(session->options, language, &request, err) < 0) {
        return -1;
    }
    RW_AUTO_FREE char *body = rw_json_print(request, NULL);
    uint32_t step_s = next_step_s(session);
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "/submit?wait=%u", step_s);
    if (call(session, path, body, step_s, err) < 0) {
        return -1;
    }
    RW_AUTO_FREE char *task_id = rw_xstrdup(text_member(session->json, "task_id"));
    if (!rw_task_state_is_final(result_state(session->json)) && next_step_s(session) > 0) {
        (void)fprintf(session->log, "runwave: waiting for task %s\n", task_id);
        if (await_result(session, task_id, err) < 0) {
            return rw_error_wrap(err, "task %s", task_id);
        }
    }
    int status = report(session, err);
    if (status == CLI_EXIT_NOT_FINAL && !session->options->is_json) {
        (void)fprintf(session->out, "%s\n", task_id);
    }
    /* Whoever does not want to wait is content with the id. */
    return status == CLI_EXIT_NOT_FINAL && session->options->wait_s == 0 ? CLI_EXIT_OK : status;
}

static int result(struct session *session, struct rw_error *err)
{
    struct rw_uuid id;
    char task_id[RW_UUID_TEXT_BYTES];
    if (rw_uuid_parse(session->options->operands.items[0], &id, err) < 0 ||
        await_result(session, rw_uuid_format(&id, task_id), err) < 0) {
        return -1;
    }
    return report(session, err);
}

static void print_texts(FILE *out, const char *heading, const cJSON *texts)
{
    const cJSON *text = NULL;
    const char *separator = heading;
    cJSON_ArrayForEach(text, texts)
    {
        const char *value = cJSON_IsObject(text) ? text_member(text, "version") : cJSON_GetStringValue(text);
        (void)fprintf(out, "%s%s", separator, value ? value : "");
        separator = ", ";
    }
}

static int languages(struct session *session, struct rw_error *err)
{
    if (call(session, "/languages", NULL, 0, err) < 0) {
        return -1;
    }
    if (session->options->is_json) {
        print_json(session);
        return CLI_EXIT_OK;
    }
    const cJSON *language = NULL;
    cJSON_ArrayForEach(language, cJSON_GetObjectItemCaseSensitive(session->json, "languages"))
    {
        (void)fprintf(session->out, "%-12s %-12s", text_member(language, "id"), text_member(language, "name"));
        print_texts(session->out, " ", cJSON_GetObjectItemCaseSensitive(language, "versions"));
        print_texts(session->out, "; files ", cJSON_GetObjectItemCaseSensitive(language, "source_extensions"));
        print_texts(session->out, "; also called ", cJSON_GetObjectItemCaseSensitive(language, "aliases"));
        (void)fputc('\n', session->out);
    }
    return CLI_EXIT_OK;
}

static int health(struct session *session, struct rw_error *err)
{
    if (transport_call(session->transport, "/readyz", NULL, ANSWER_TIMEOUT_MS, &session->reply, err) < 0 ||
        parse_answer(session, err) < 0) {
        return -1;
    }
    if (session->options->is_json) {
        print_json(session);
    } else {
        const cJSON *condition = NULL;
        (void)fprintf(session->out, "%s\n", text_member(session->json, "status"));
        cJSON_ArrayForEach(condition, cJSON_GetObjectItemCaseSensitive(session->json, "lacking"))
        {
            (void)fprintf(session->out, "lacking: %s %s\n", text_member(condition, "name"), text_member(condition, "detail"));
        }
    }
    return session->reply.status == 200 ? CLI_EXIT_OK : rw_err_exit_code(RW_ERR_UNAVAILABLE);
}

int commands_run(const struct cli_options *options, FILE *out, FILE *log)
{
    static int (*const commands[_CLI_COMMAND_MAX])(struct session *, struct rw_error *) = {
        [CLI_SUBMIT] = submit,
        [CLI_RESULT] = result,
        [CLI_LANGUAGES] = languages,
        [CLI_HEALTH] = health,
    };
    struct session session = {
        .options = options,
        .out = out,
        .log = log,
        .deadline_ms = rw_monotonic_ms() + (int64_t)options->wait_s * 1000,
    };
    rw_buffer_init(&session.reply.body, ANSWER_BYTES_MAX);
    struct rw_error err = {0};
    int status = transport_open(options->server, options->token, &session.transport, &err) < 0
                     ? -1
                     : commands[options->command](&session, &err);
    transport_close(session.transport);
    cJSON_Delete(session.json);
    rw_buffer_done(&session.reply.body);
    if (status < 0) {
        (void)fprintf(log, "runwave: %s\n", err.message);
        return rw_err_exit_code(err.code);
    }
    return status;
}
