/* What a Docker Engine says: a stream of events, cut into reads as the first byte says, gives the same events as one read; and
 * any of its answers is read as a version and as a container's state without harm. */
#include "fuzz.h"

#include <string.h>

#include <rw/auto.h>
#include <rw/json.h>

#include "engine_text.h"

enum { STREAM_BYTES_MAX = 64 * 1024 };

struct heard {
    char text[STREAM_BYTES_MAX * 2]; /* types and pods, one after the other */
    size_t len;
    bool has_failed;
};

static void on_event(void *arg, const struct engine_event *event)
{
    struct heard *heard = arg;
    size_t len = strlen(event->pod);
    HOLDS(event->type < _ENGINE_EVENT_MAX && heard->len + len + 1 <= sizeof(heard->text));
    heard->text[heard->len++] = (char)('0' + event->type);
    memcpy(heard->text + heard->len, event->pod, len);
    heard->len += len;
}

static void read_stream(const uint8_t *data, size_t size, size_t step, struct heard *heard)
{
    struct engine_stream stream;
    struct rw_error err = {0};
    heard->len = 0;
    heard->has_failed = false;
    engine_stream_init(&stream);
    for (size_t place = 0; place < size && !heard->has_failed; place += step) {
        size_t len = size - place < step ? size - place : step;
        heard->has_failed = engine_stream_feed(&stream, rw_bytes_of(data + place, len), on_event, heard, &err) < 0;
        HOLDS(!heard->has_failed || err.code == RW_ERR_PROTOCOL || err.code == RW_ERR_TOO_LARGE);
    }
    engine_stream_done(&stream);
}

static void read_answer(const uint8_t *data, size_t size)
{
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    struct rw_error err = {0};
    struct engine_state state;
    unsigned minor = 0;
    if (engine_json_parse(rw_bytes_of(data, size), &json, &err) == 0) {
        HOLDS(engine_version_choose(json, &minor, &err) < 0 || (minor >= ENGINE_API_MINOR_MIN && minor <= ENGINE_API_MINOR_MAX));
        HOLDS(engine_state_read(json, &state, &err) < 0 || strlen(state.detail) < sizeof(state.detail));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard whole;
    static struct heard pieces;
    if (size < 1 || size > STREAM_BYTES_MAX) {
        return 0;
    }
    read_stream(data + 1, size - 1, size, &whole);
    read_stream(data + 1, size - 1, (size_t)data[0] + 1, &pieces);
    HOLDS(whole.has_failed == pieces.has_failed && whole.len == pieces.len);
    HOLDS(memcmp(whole.text, pieces.text, whole.len) == 0);
    read_answer(data + 1, size - 1);
    return 0;
}
