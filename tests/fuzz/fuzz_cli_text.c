/* What the client makes of a server's answer: guarded before it is parsed, restored when it is printed. Any text survives the
 * two. */
#include "fuzz.h"

#include <string.h>

#include <rw/json.h>

#include "text.h"

enum { ANSWER_BYTES_MAX = 1 << 20 };

/* Bytes that are valid UTF-8, written into JSON as the server does, come out as they were. */
static void check_round_trip(struct rw_bytes bytes)
{
    static const struct rw_json_limits limits = {ANSWER_BYTES_MAX, 4, 16, false};
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *answer = cJSON_CreateObject();
    rw_json_add_bytes(answer, "stdout", bytes);
    if (cJSON_GetObjectItemCaseSensitive(answer, "stdout_encoding")) {
        return;
    }
    size_t len = 0;
    RW_AUTO_FREE char *text = rw_json_print(answer, &len);
    RW_AUTO_BUFFER struct rw_buffer guarded;
    RW_AUTO_BUFFER struct rw_buffer restored;
    rw_buffer_init(&guarded, ANSWER_BYTES_MAX);
    rw_buffer_init(&restored, ANSWER_BYTES_MAX);
    RW_AUTO(cJSON_Delete) cJSON *parsed = NULL;
    HOLDS(text_guard(rw_bytes_of(text, len), &guarded, &err) == 0);
    HOLDS(rw_json_parse(rw_buffer_view(&guarded), &limits, &parsed, &err) == 0);
    HOLDS(text_restore(text_member(parsed, "stdout"), &restored, &err) == 0);
    HOLDS(restored.len == bytes.len && (bytes.len == 0 || memcmp(restored.data, bytes.data, bytes.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer guarded;
    rw_buffer_init(&guarded, ANSWER_BYTES_MAX);
    if (size > ANSWER_BYTES_MAX / 8) {
        return 0;
    }
    HOLDS(text_guard(rw_bytes_of(data, size), &guarded, &err) == 0);
    check_round_trip(rw_bytes_of(data, size));
    return 0;
}
