/* A task as a client reads it: pure, from a row to JSON. */
#include "task_json.h"

#include <stdio.h>
#include <string.h>

#include <rw/clock.h>

char *task_url(const struct rw_uuid *id, char out[static TASK_URL_BYTES])
{
    char text[RW_UUID_TEXT_BYTES];
    (void)snprintf(out, TASK_URL_BYTES, "/result/%s", rw_uuid_format(id, text));
    return out;
}

cJSON *task_accepted_json(const struct rw_uuid *id, enum rw_task_state state)
{
    char text[RW_UUID_TEXT_BYTES];
    char url[TASK_URL_BYTES];
    cJSON *json = cJSON_CreateObject();
    rw_json_add_string(json, "task_id", rw_uuid_format(id, text));
    rw_json_add_string(json, "status", rw_task_state_name(state));
    rw_json_add_string(json, "url", task_url(id, url));
    return json;
}

static void add_time(cJSON *json, const char *key, int64_t time_us)
{
    char text[RW_RFC3339_BYTES];
    rw_json_add_string(json, key, time_us < 0 ? NULL : rw_format_rfc3339(time_us, text));
}

/* Milliseconds with the microseconds behind the point; null when not known. */
static void add_ms(cJSON *json, const char *key, int64_t duration_us)
{
    if (duration_us < 0) {
        (void)cJSON_AddNullToObject(json, key);
    } else {
        (void)cJSON_AddNumberToObject(json, key, (double)duration_us / 1000.0);
    }
}

static void add_count(cJSON *json, const char *key, int64_t count)
{
    if (count < 0) {
        (void)cJSON_AddNullToObject(json, key);
    } else {
        rw_json_add_int(json, key, count);
    }
}

/* -1 when one end is not known. The database's clock and a scheduler's may differ a little: never below zero. */
static int64_t between(int64_t from_us, int64_t to_us)
{
    if (from_us < 0 || to_us < 0) {
        return -1;
    }
    return to_us > from_us ? to_us - from_us : 0;
}

static cJSON *stages_json(const struct rw_task_row *row)
{
    bool has = row->has_result;
    int64_t leased_us = has ? row->leased_us : -1;
    int64_t started_us = has ? row->started_us : -1;
    int64_t finished_us = has ? row->finished_us : -1;
    int64_t compile_us = has ? row->compile_wall_us : -1;
    int64_t startup_us = between(leased_us, started_us);
    cJSON *json = cJSON_CreateObject();

    if (startup_us >= 0 && compile_us > 0) {
        startup_us = startup_us > compile_us ? startup_us - compile_us : 0;
    }
    add_time(json, "submitted_at", row->submitted_us);
    add_time(json, "claimed_at", row->claimed_us);
    add_time(json, "leased_at", leased_us);
    add_time(json, "started_at", started_us);
    add_time(json, "finished_at", finished_us);
    add_time(json, "ended_at", row->ended_us);
    add_ms(json, "queued_ms", between(row->submitted_us, row->claimed_us));
    add_ms(json, "leasing_ms", between(row->claimed_us, leased_us));
    add_ms(json, "startup_ms", startup_us);
    add_ms(json, "compile_ms", compile_us);
    add_ms(json, "run_ms", has ? row->wall_us : -1);
    add_ms(json, "total_ms", between(row->submitted_us, row->ended_us));
    return json;
}

static void add_ending(cJSON *json, const struct rw_task_row *row)
{
    if (row->has_result && row->has_exit_code) {
        rw_json_add_int(json, "exit_code", row->exit_code);
    } else {
        (void)cJSON_AddNullToObject(json, "exit_code");
    }
    const char *name = row->has_result && row->signal > 0 ? sigabbrev_np(row->signal) : NULL;
    add_count(json, "signal", row->has_result && row->signal > 0 ? row->signal : -1);
    if (name) {
        char text[32];
        (void)snprintf(text, sizeof(text), "SIG%s", name);
        rw_json_add_string(json, "signal_name", text);
    } else {
        (void)cJSON_AddNullToObject(json, "signal_name");
    }
}

struct stream_member {
    const char *key;
    const char *truncated_key;
    struct rw_bytes bytes;
    bool is_truncated;
};

static void add_streams(cJSON *json, const struct rw_task_row *row)
{
    const struct stream_member members[] = {
        {"stdout", "stdout_truncated", row->stdout_bytes, row->stdout_truncated},
        {"stderr", "stderr_truncated", row->stderr_bytes, row->stderr_truncated},
        {"compile_output", "compile_output_truncated", row->compile_output, row->compile_truncated},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(members); i++) {
        if (row->has_result) {
            rw_json_add_bytes(json, members[i].key, members[i].bytes);
            (void)cJSON_AddBoolToObject(json, members[i].truncated_key, members[i].is_truncated);
        } else {
            (void)cJSON_AddNullToObject(json, members[i].key);
            (void)cJSON_AddNullToObject(json, members[i].truncated_key);
        }
    }
}

static cJSON *compile_json(const struct rw_task_row *row)
{
    if (!row->has_result || row->compile_wall_us < 0) {
        return cJSON_CreateNull();
    }
    cJSON *json = cJSON_CreateObject();
    add_ms(json, "wall_ms", row->compile_wall_us);
    add_ms(json, "cpu_ms", row->compile_cpu_us);
    add_count(json, "memory_bytes", row->compile_memory_bytes);
    return json;
}

cJSON *task_json(const struct rw_uuid *id, const struct rw_task_row *row)
{
    char text[RW_UUID_TEXT_BYTES];
    bool has = row->has_result;
    cJSON *json = cJSON_CreateObject();

    rw_json_add_string(json, "task_id", rw_uuid_format(id, text));
    rw_json_add_string(json, "status", rw_task_state_name(row->state));
    rw_json_add_string(json, "verdict", has && row->verdict != _RW_VERDICT_INVALID ? rw_verdict_name(row->verdict) : NULL);
    rw_json_add_string(json, "reason", has && row->reason && row->reason[0] ? row->reason : NULL);
    rw_json_add_string(json, "language", row->language);
    rw_json_add_string(json, "version", row->version);
    rw_json_add_int(json, "attempt", row->attempt);
    add_ending(json, row);
    add_streams(json, row);
    add_ms(json, "wall_ms", has ? row->wall_us : -1);
    add_ms(json, "cpu_ms", has ? row->cpu_us : -1);
    add_count(json, "memory_bytes", has ? row->memory_bytes : -1);
    cJSON_AddItemToObject(json, "compile", compile_json(row));
    cJSON_AddItemToObject(json, "stages", stages_json(row));
    return json;
}
