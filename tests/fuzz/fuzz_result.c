/* What a runner sends after its job, to what a client reads: frames to messages, outputs and result into a row, the row to JSON. The
 * JSON is well-formed whatever came, and its outputs are the runner's bytes. */
#include "fuzz.h"

#include <string.h>

#include <rw/encoding.h>
#include <rw/frame.h>
#include <rw/runner_protocol.h>

#include "task_json.h"

enum { OUTPUTS_BYTES_MAX = 1 << 20, FRAME_BYTES_MAX = RW_OUTPUT_CHUNK_BYTES_MAX + 4096 };

struct received {
    struct rw_buffer outputs[_RW_STREAM_MAX];
    bool has_result;
    struct rw_run_result result;
};

static void take(struct received *received, struct rw_bytes payload)
{
    struct rw_message message;
    struct rw_error err = {0};
    if (rw_message_decode(payload, &message, &err) < 0) {
        HOLDS(err.code == RW_ERR_PROTOCOL);
        return;
    }
    if (message.type == RW_MESSAGE_OUTPUT) {
        HOLDS(message.data.len <= RW_OUTPUT_CHUNK_BYTES_MAX);
        (void)rw_buffer_append_some(&received->outputs[message.stream], message.data.data, message.data.len);
    } else if (message.type == RW_MESSAGE_RESULT) {
        received->has_result = true;
        received->result = message.result;
    }
}

/* As the scheduler writes it and the api-server reads it: 64 bits with a sign. */
static int64_t number(uint64_t value)
{
    HOLDS(value <= INT64_MAX);
    return (int64_t)value;
}

static struct rw_task_row row_of(const struct received *received)
{
    const struct rw_run_result *result = &received->result;
    HOLDS(result->verdict >= 0 && result->verdict < _RW_VERDICT_MAX && memchr(result->reason, '\0', sizeof(result->reason)));
    struct rw_task_row row = {.state = RW_TASK_DONE, .language = "c", .version = "12", .attempt = 1, .has_result = true};
    row.verdict = result->verdict;
    row.has_exit_code = result->has_exit_code;
    row.exit_code = result->exit_code;
    row.signal = result->signal;
    row.reason = result->reason;
    row.stdout_bytes = rw_buffer_view(&received->outputs[RW_STREAM_STDOUT]);
    row.stderr_bytes = rw_buffer_view(&received->outputs[RW_STREAM_STDERR]);
    row.compile_output = rw_buffer_view(&received->outputs[RW_STREAM_COMPILE]);
    row.stdout_truncated = result->truncated[RW_STREAM_STDOUT];
    row.wall_us = number(result->run.wall_us);
    row.memory_bytes = number(result->run.memory_bytes);
    row.compile_wall_us = result->has_compile ? number(result->compile.wall_us) : -1;
    row.compile_memory_bytes = result->has_compile ? number(result->compile.memory_bytes) : -1;
    row.submitted_us = row.claimed_us = row.ended_us = row.leased_us = row.started_us = row.finished_us = -1;
    return row;
}

/* Text with a NUL cannot be compared through cJSON, which ends strings there. */
static void check_output(const cJSON *json, const char *key, const char *encoding_key, struct rw_bytes wanted)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, key);
    const cJSON *encoding = cJSON_GetObjectItemCaseSensitive(json, encoding_key);
    HOLDS(cJSON_IsString(member));
    if (!encoding) {
        HOLDS(wanted.len == 0 || memchr(wanted.data, 0, wanted.len) ||
              (strlen(member->valuestring) == wanted.len && memcmp(member->valuestring, wanted.data, wanted.len) == 0));
        return;
    }
    RW_AUTO_FREE uint8_t *decoded = NULL;
    size_t len = 0;
    struct rw_error err = {0};
    HOLDS(rw_base64_decode(member->valuestring, strlen(member->valuestring), &decoded, &len, &err) == 0);
    HOLDS(len == wanted.len && memcmp(decoded, wanted.data, len) == 0);
}

static void check_json(const struct received *received)
{
    static const struct rw_uuid id;
    struct rw_task_row row = row_of(received);
    RW_AUTO(cJSON_Delete) cJSON *json = task_json(&id, &row);
    size_t len = 0;
    RW_AUTO_FREE char *text = rw_json_print(json, &len);
    HOLDS(text && strlen(text) == len && rw_utf8_is_valid(rw_bytes_of(text, len)));
    const char *end = NULL;
    RW_AUTO(cJSON_Delete) cJSON *read = cJSON_ParseWithLengthOpts(text, len + 1, &end, true);
    HOLDS(read);
    check_output(read, "stdout", "stdout_encoding", row.stdout_bytes);
    check_output(read, "stderr", "stderr_encoding", row.stderr_bytes);
    check_output(read, "compile_output", "compile_output_encoding", row.compile_output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct received received = {.has_result = false};
    struct rw_frame_reader reader;
    struct rw_error err = {0};
    struct rw_bytes payload;
    rw_frame_reader_init(&reader, FRAME_BYTES_MAX);
    for (int stream = 0; stream < _RW_STREAM_MAX; stream++) {
        rw_buffer_init(&received.outputs[stream], OUTPUTS_BYTES_MAX);
    }
    if (rw_frame_reader_feed(&reader, rw_bytes_of(data, size), &err) == 0) {
        while (rw_frame_reader_next(&reader, &payload, &err) == 1) {
            take(&received, payload);
        }
    }
    if (received.has_result) {
        check_json(&received);
    }
    for (int stream = 0; stream < _RW_STREAM_MAX; stream++) {
        rw_buffer_done(&received.outputs[stream]);
    }
    rw_frame_reader_done(&reader);
    return 0;
}
