/* A watch stream, cut into reads as the first byte says: the events are the same as from one read, and memory is bounded. */
#include "fuzz.h"

#include <string.h>

#include <rw/auto.h>
#include <rw/json.h>

#include "kube_stream.h"

enum { STREAM_BYTES_MAX = 64 * 1024 };

struct heard {
    char text[STREAM_BYTES_MAX * 2]; /* types and names, one after the other */
    size_t len;
    size_t n_events;
    bool has_failed;
};

static bool on_event(void *arg, const struct kube_event *event)
{
    struct heard *heard = arg;
    HOLDS(event->type < _KUBE_EVENT_MAX && cJSON_IsObject(event->object));
    const char *name = rw_json_string(event->object, "metadata", "name", NULL);
    size_t len = name ? strlen(name) : 0;
    HOLDS(heard->len + len + 1 <= sizeof(heard->text));
    heard->text[heard->len++] = (char)('0' + event->type);
    memcpy(heard->text + heard->len, name ? name : "", len);
    heard->len += len;
    heard->n_events++;
    return true;
}

static void read_stream(const uint8_t *data, size_t size, size_t step, struct heard *heard)
{
    struct kube_stream stream;
    struct rw_error err = {0};
    heard->len = heard->n_events = 0;
    heard->has_failed = false;
    kube_stream_init(&stream);
    for (size_t place = 0; place < size && !heard->has_failed; place += step) {
        size_t len = size - place < step ? size - place : step;
        heard->has_failed = kube_stream_feed(&stream, rw_bytes_of(data + place, len), on_event, heard, &err) < 0;
        HOLDS(!heard->has_failed || err.code == RW_ERR_PROTOCOL || err.code == RW_ERR_TOO_LARGE);
        HOLDS(stream.lines.partial.capacity <= 4 * (size_t)STREAM_BYTES_MAX);
    }
    kube_stream_done(&stream);
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
    HOLDS(whole.has_failed == pieces.has_failed && whole.n_events == pieces.n_events && whole.len == pieces.len);
    HOLDS(memcmp(whole.text, pieces.text, whole.len) == 0);
    return 0;
}
