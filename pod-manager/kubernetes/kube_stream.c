/* Each line of a watch stream is an event. */
#include "kube_stream.h"

#include <string.h>

#include <rw/json.h>

static const struct rw_json_limits object_limits = {
    .bytes_max = KUBE_OBJECT_BYTES_MAX,
    .depth_max = 64,
    .values_max = 1000000,
};

static const char *const event_names[_KUBE_EVENT_MAX] = {
    [KUBE_ADDED] = "ADDED",       [KUBE_MODIFIED] = "MODIFIED", [KUBE_DELETED] = "DELETED",
    [KUBE_BOOKMARK] = "BOOKMARK", [KUBE_ERROR] = "ERROR",
};

int kube_json_parse(struct rw_bytes text, cJSON **ret_json, struct rw_error *err)
{
    return rw_json_parse(text, &object_limits, ret_json, err);
}

char *kube_encode(const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    char *encoded = rw_xmalloc(strlen(text) * 3 + 1);
    char *out = encoded;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (strchr(unreserved, *c)) {
            *out++ = (char)*c;
        } else {
            *out++ = '%';
            *out++ = digits[*c >> 4];
            *out++ = digits[*c & 15];
        }
    }
    *out = '\0';
    return encoded;
}

void kube_stream_init(struct kube_stream *stream)
{
    rw_lines_init(&stream->lines, KUBE_OBJECT_BYTES_MAX);
}

void kube_stream_done(struct kube_stream *stream)
{
    rw_lines_done(&stream->lines);
}

void kube_stream_clear(struct kube_stream *stream)
{
    rw_lines_clear(&stream->lines);
}

struct receiver {
    kube_event_each each;
    void *arg;
};

static int take_line(void *arg, struct rw_bytes line, struct rw_error *err)
{
    const struct receiver *receiver = arg;
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    if (kube_json_parse(line, &json, err) < 0) {
        err->code = RW_ERR_PROTOCOL;
        return rw_error_wrap(err, "watch event");
    }
    const char *type = rw_json_string(json, "type", NULL);
    const cJSON *object = rw_json_at(json, "object", NULL);
    if (!type || !cJSON_IsObject(object)) {
        return rw_fail(err, PROTOCOL, "watch event without type or object");
    }
    for (int i = 0; i < _KUBE_EVENT_MAX; i++) {
        if (strcmp(type, event_names[i]) == 0) {
            return receiver->each(receiver->arg, &(struct kube_event){.type = (enum kube_event_type)i, .object = object}) ? 1 : 0;
        }
    }
    return rw_fail(err, PROTOCOL, "watch event of unknown type");
}

int kube_stream_feed(struct kube_stream *stream, struct rw_bytes bytes, kube_event_each each, void *arg, struct rw_error *err)
{
    struct receiver receiver = {.each = each, .arg = arg};
    return rw_lines_feed(&stream->lines, bytes, take_line, &receiver, err);
}
