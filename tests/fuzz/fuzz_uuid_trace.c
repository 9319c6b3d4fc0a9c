/* The short texts that come in URLs and headers: UUIDs, trace contexts, base64, file names, log levels. */
#include "fuzz.h"

#include <ctype.h>
#include <string.h>

#include <rw/encoding.h>
#include <rw/job.h>
#include <rw/log.h>
#include <rw/task.h>
#include <rw/trace.h>
#include <rw/uuid.h>

static void check_uuid(const char *text)
{
    struct rw_error err = {0};
    struct rw_uuid uuid;
    char formatted[RW_UUID_TEXT_BYTES];
    if (rw_uuid_parse(text, &uuid, &err) == 0) {
        HOLDS(strcasecmp(rw_uuid_format(&uuid, formatted), text) == 0);
    }
}

static void check_trace(const char *text)
{
    struct rw_error err = {0};
    struct rw_trace trace, child;
    if (rw_trace_parse(text, &trace, &err) == 0) {
        char id[RW_TRACE_ID_BYTES];
        HOLDS(strcmp(trace.traceparent, text) == 0);
        rw_trace_id(&trace, id);
        HOLDS(strncmp(id, text + 3, 32) == 0);
        rw_trace_child(&trace, &child);
        HOLDS(rw_trace_parse(child.traceparent, &trace, &err) == 0);
    }
}

static void check_base64(const uint8_t *data, size_t size)
{
    struct rw_error err = {0};
    RW_AUTO_FREE uint8_t *decoded = NULL;
    size_t len;
    if (rw_base64_decode((const char *)data, size, &decoded, &len, &err) == 0) {
        RW_AUTO_FREE char *encoded = rw_base64_encode(rw_bytes_of(decoded, len));
        HOLDS(strlen(encoded) == size && memcmp(encoded, data, size) == 0);
    }
    RW_AUTO_FREE char *encoded = rw_base64_encode(rw_bytes_of(data, size));
    RW_AUTO_FREE uint8_t *again = NULL;
    HOLDS(rw_base64_decode(encoded, strlen(encoded), &again, &len, &err) == 0);
    HOLDS(len == size && memcmp(again, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_error err = {0};
    enum rw_log_level level;
    RW_AUTO_FREE char *text = rw_xstrndup((const char *)data, size);
    check_uuid(text);
    check_trace(text);
    check_base64(data, size);
    if (rw_job_file_name_check((const char *)data, size, &err) == 0) {
        HOLDS(size == strlen(text) && text[0] != '/' && text[size - 1] != '/' && !strstr(text, "//"));
    }
    if (rw_log_level_parse(text, &level, &err) == 0) {
        HOLDS((unsigned)level < _RW_LOG_MAX);
    }
    enum rw_task_state state = rw_task_state_parse(text);
    HOLDS(state == _RW_TASK_INVALID || strcmp(rw_task_state_name(state), text) == 0);
    return 0;
}
