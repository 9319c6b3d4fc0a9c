/* From the server's JSON to bytes, a line and a number. The JSON text was guarded (text.h) before it was parsed. */
#include "result.h"

#include <string.h>

#include <rw/encoding.h>

#include "text.h"

enum { STREAM_BYTES_MAX = 64 * 1024 * 1024 };

static const int verdict_statuses[_RW_VERDICT_MAX] = {
    [RW_VERDICT_OK] = CLI_EXIT_OK, [RW_VERDICT_RUNTIME_ERROR] = 1, [RW_VERDICT_COMPILE_ERROR] = 2,
    [RW_VERDICT_WRONG_ANSWER] = 3, [RW_VERDICT_SIGNALLED] = 4,     [RW_VERDICT_TIME_LIMIT] = 5,
    [RW_VERDICT_MEMORY_LIMIT] = 6, [RW_VERDICT_OUTPUT_LIMIT] = 7,  [RW_VERDICT_INTERNAL_ERROR] = 8,
};

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

enum rw_task_state result_state(const cJSON *result)
{
    return rw_task_state_parse(text_member(result, "status"));
}

int result_exit_status(const cJSON *result)
{
    switch (result_state(result)) {
    case RW_TASK_DONE: {
        enum rw_verdict verdict = rw_verdict_parse(text_member(result, "verdict"));
        return verdict == _RW_VERDICT_INVALID ? rw_err_exit_code(RW_ERR_PROTOCOL) : verdict_statuses[verdict];
    }
    case RW_TASK_CANCELLED:
        return CLI_EXIT_CANCELLED;
    case RW_TASK_DEAD:
        return CLI_EXIT_DEAD;
    case RW_TASK_QUEUED:
    case RW_TASK_RUNNING:
        return CLI_EXIT_NOT_FINAL;
    case _RW_TASK_MAX:
    case _RW_TASK_INVALID:
        break;
    }
    return rw_err_exit_code(RW_ERR_PROTOCOL);
}

int result_stream(const cJSON *result, const char *key, struct rw_buffer *out, struct rw_error *err)
{
    char encoding_key[64];
    (void)snprintf(encoding_key, sizeof(encoding_key), "%s_encoding", key);
    const char *encoding = text_member(result, encoding_key);
    const char *text = text_member(result, key);
    if (strcmp(encoding, "base64") != 0) {
        return text_restore(text, out, err);
    }
    RW_AUTO_FREE uint8_t *data = NULL;
    size_t len = 0;
    if (rw_base64_decode(text, strlen(text), &data, &len, err) < 0) {
        return rw_fail(err, PROTOCOL, "%s of the result is not base64", key);
    }
    return rw_buffer_append(out, data, len, err);
}

/* *is_line_open: set to whether the last byte printed was not the end of a line; untouched when nothing was printed. */
static int print_stream(const cJSON *result, const char *key, FILE *out, bool *is_line_open, struct rw_error *err)
{
    RW_AUTO_BUFFER struct rw_buffer bytes;
    rw_buffer_init(&bytes, STREAM_BYTES_MAX);
    if (result_stream(result, key, &bytes, err) < 0) {
        return -1;
    }
    if (bytes.len > 0) {
        (void)fwrite(bytes.data, 1, bytes.len, out); /* main looks at the stream's state at the end */
        (void)fflush(out);
        *is_line_open = bytes.data[bytes.len - 1] != '\n';
    }
    return 0;
}

static void print_numbers(const cJSON *result, FILE *log)
{
    static const struct {
        const char *key;
        const char *before;
        int decimals;
        double divisor;
        const char *after;
    } numbers[] = {
        {"exit_code", "exit code ", 0, 1, ""},
        {"signal", "signal ", 0, 1, ""},
        {"wall_ms", "", 1, 1, " ms"},
        {"cpu_ms", "CPU ", 1, 1, " ms"},
        {"memory_bytes", "memory ", 1, 1024.0 * 1024.0, " MiB"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(numbers); i++) {
        const cJSON *number = member(result, numbers[i].key);
        if (cJSON_IsNumber(number)) {
            (void)fprintf(log, ", %s%.*f%s", numbers[i].before, numbers[i].decimals, number->valuedouble / numbers[i].divisor,
                          numbers[i].after);
        }
    }
}

static void print_verdict(const cJSON *result, FILE *log)
{
    static const char *const truncated_keys[] = {"stdout_truncated", "stderr_truncated", "compile_output_truncated"};
    const char *verdict = text_member(result, "verdict");
    (void)fprintf(log, "runwave: %s", verdict[0] != '\0' ? verdict : text_member(result, "status"));
    print_numbers(result, log);
    for (size_t i = 0; i < RW_ARRAY_SIZE(truncated_keys); i++) {
        if (cJSON_IsTrue(member(result, truncated_keys[i]))) {
            (void)fprintf(log, ", %s", truncated_keys[i]);
        }
    }
    if (text_member(result, "reason")[0] != '\0') {
        (void)fprintf(log, ", %s", text_member(result, "reason"));
    }
    (void)fprintf(log, " (%s %s, task %s)\n", text_member(result, "language"), text_member(result, "version"),
                  text_member(result, "task_id"));
}

int result_print(const cJSON *result, FILE *out, FILE *log, struct rw_error *err)
{
    bool is_out_open = false;
    bool is_log_open = false;
    if (print_stream(result, "compile_output", log, &is_log_open, err) < 0 ||
        print_stream(result, "stdout", out, &is_out_open, err) < 0 || print_stream(result, "stderr", log, &is_log_open, err) < 0) {
        return -1;
    }
    if (is_log_open) {
        (void)fputc('\n', log);
    }
    print_verdict(result, log);
    return 0;
}
