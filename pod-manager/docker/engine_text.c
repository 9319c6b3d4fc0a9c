/* Reading what the engine says. It is trusted as root is, but its answers may be cut short or come from a newer version: every one
 * is parsed strictly, and what is missing is an error instead of a guess. */
#include "engine_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rw/json.h>

#include "engine_container.h"

static const struct rw_json_limits json_limits = {
    .bytes_max = ENGINE_ANSWER_BYTES_MAX, .depth_max = 64, .values_max = 1000000, .is_inexact = true, /* an event's timeNano */
};

int engine_json_parse(struct rw_bytes text, cJSON **ret_json, struct rw_error *err)
{
    return rw_json_parse(text, &json_limits, ret_json, err);
}

/* "1.41" → 41. */
static bool read_minor(const char *text, unsigned *ret_minor)
{
    char *end = NULL;
    if (!text || strncmp(text, "1.", 2) != 0 || text[2] < '0' || text[2] > '9') {
        return false;
    }
    unsigned long minor = strtoul(text + 2, &end, 10);
    *ret_minor = (unsigned)minor;
    return *end == '\0' && minor < 1000;
}

int engine_version_choose(const cJSON *version, unsigned *ret_minor, struct rw_error *err)
{
    const char *newest_text = rw_json_string(version, "ApiVersion", NULL);
    const char *oldest_text = rw_json_string(version, "MinAPIVersion", NULL);
    unsigned newest = 0;
    unsigned oldest = 0;
    if (!read_minor(newest_text, &newest) || (oldest_text && !read_minor(oldest_text, &oldest))) {
        return rw_fail(err, UNSUPPORTED, "what answers is no Docker Engine with API version 1.x");
    }
    if (newest < ENGINE_API_MINOR_MIN || oldest > ENGINE_API_MINOR_MAX) {
        return rw_fail(err, UNSUPPORTED, "the Docker Engine speaks API versions %.8s to %.8s, this program 1.%d to 1.%d",
                       oldest_text ? oldest_text : "?", newest_text, ENGINE_API_MINOR_MIN, ENGINE_API_MINOR_MAX);
    }
    *ret_minor = newest < ENGINE_API_MINOR_MAX ? newest : ENGINE_API_MINOR_MAX;
    return 0;
}

/* ---- events ---- */

void engine_stream_init(struct engine_stream *stream)
{
    rw_lines_init(&stream->lines, ENGINE_EVENT_BYTES_MAX);
}

void engine_stream_done(struct engine_stream *stream)
{
    rw_lines_done(&stream->lines);
}

struct receiver {
    void (*each)(void *arg, const struct engine_event *event);
    void *arg;
};

static int take_line(void *arg, struct rw_bytes line, struct rw_error *err)
{
    const struct receiver *receiver = arg;
    static const char *const actions[_ENGINE_EVENT_MAX] = {
        [ENGINE_CREATED] = "create", [ENGINE_DIED] = "die", [ENGINE_DESTROYED] = "destroy"};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    if (engine_json_parse(line, &json, err) < 0) {
        err->code = RW_ERR_PROTOCOL;
        return rw_error_wrap(err, "event of the engine");
    }
    const char *action = rw_json_string(json, "Action", NULL);
    const char *pod = rw_json_string(json, "Actor", "Attributes", ENGINE_LABEL_POD, NULL);
    for (int i = 0; i < _ENGINE_EVENT_MAX && action && pod; i++) {
        if (strcmp(action, actions[i]) == 0) {
            receiver->each(receiver->arg, &(struct engine_event){.type = (enum engine_event_type)i, .pod = pod});
        }
    }
    return 1;
}

int engine_stream_feed(struct engine_stream *stream, struct rw_bytes bytes,
                       void (*each)(void *arg, const struct engine_event *event), void *arg, struct rw_error *err)
{
    struct receiver receiver = {.each = each, .arg = arg};
    return rw_lines_feed(&stream->lines, bytes, take_line, &receiver, err);
}

/* ---- a container's state ---- */

int engine_state_read(const cJSON *container, struct engine_state *ret_state, struct rw_error *err)
{
    enum { KILLED = 128 }; /* a shell's way to tell a signal */
    const char *status = rw_json_string(container, "State", "Status", NULL);
    const char *problem = rw_json_string(container, "State", "Error", NULL);
    const cJSON *exit_code = rw_json_at(container, "State", "ExitCode", NULL);
    if (!status || !cJSON_IsNumber(exit_code)) {
        return rw_fail(err, PROTOCOL, "the engine's answer has no state of the container");
    }
    struct engine_state state = {.exit_code = exit_code->valueint};
    state.is_running = strcmp(status, "exited") != 0 && strcmp(status, "dead") != 0 && strcmp(status, "removing") != 0;
    state.is_oom_killed = cJSON_IsTrue(rw_json_at(container, "State", "OOMKilled", NULL));
    if (problem && *problem) {
        (void)snprintf(state.detail, sizeof(state.detail), "%.*s", (int)sizeof(state.detail) - 1, problem);
    } else if (state.exit_code > KILLED) {
        (void)snprintf(state.detail, sizeof(state.detail), "runner killed by signal %d", state.exit_code - KILLED);
    } else {
        (void)snprintf(state.detail, sizeof(state.detail), "runner exited with status %d", state.exit_code);
    }
    *ret_state = state;
    return 0;
}
