/* Cuts a watch stream into lines and each line into an event. A partial line waits for its rest, up to a bound. */
#include "kube_stream.h"

#include <stdarg.h>
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

static const cJSON *walk(const cJSON *object, va_list keys)
{
    const char *key;
    while (object && (key = va_arg(keys, const char *))) {
        object = cJSON_GetObjectItemCaseSensitive(object, key);
    }
    return object;
}

const cJSON *kube_at(const cJSON *object, ...)
{
    va_list keys;
    va_start(keys, object);
    const cJSON *found = walk(object, keys);
    va_end(keys);
    return found;
}

const char *kube_string(const cJSON *object, ...)
{
    va_list keys;
    va_start(keys, object);
    const cJSON *found = walk(object, keys);
    va_end(keys);
    return cJSON_IsString(found) ? found->valuestring : NULL;
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
    rw_buffer_init(&stream->line, KUBE_OBJECT_BYTES_MAX);
}

void kube_stream_done(struct kube_stream *stream)
{
    rw_buffer_done(&stream->line);
}

void kube_stream_clear(struct kube_stream *stream)
{
    rw_buffer_clear(&stream->line);
}

/* 1: go on, 0: the receiver has had enough, -1. */
static int take_line(struct rw_bytes line, kube_event_each each, void *arg, struct rw_error *err)
{
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    if (kube_json_parse(line, &json, err) < 0) {
        err->code = RW_ERR_PROTOCOL;
        return rw_error_wrap(err, "watch event");
    }
    const char *type = kube_string(json, "type", NULL);
    const cJSON *object = kube_at(json, "object", NULL);
    if (!type || !cJSON_IsObject(object)) {
        return rw_fail(err, PROTOCOL, "watch event without type or object");
    }
    for (int i = 0; i < _KUBE_EVENT_MAX; i++) {
        if (strcmp(type, event_names[i]) == 0) {
            return each(arg, &(struct kube_event){.type = (enum kube_event_type)i, .object = object}) ? 1 : 0;
        }
    }
    return rw_fail(err, PROTOCOL, "watch event of unknown type");
}

int kube_stream_feed(struct kube_stream *stream, struct rw_bytes bytes, kube_event_each each, void *arg, struct rw_error *err)
{
    while (bytes.len > 0) {
        const uint8_t *end = memchr(bytes.data, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.data) : bytes.len;
        struct rw_bytes line = rw_bytes_of(bytes.data, len);
        if (!end || stream->line.len > 0) {
            if (rw_buffer_append(&stream->line, bytes.data, len, err) < 0) {
                return -1;
            }
            line = rw_buffer_view(&stream->line);
        }
        if (!end) {
            return 0;
        }
        bytes = rw_bytes_of(end + 1, bytes.len - len - 1);
        int taken = line.len > 0 ? take_line(line, each, arg, err) : 1;
        rw_buffer_clear(&stream->line);
        if (taken <= 0) {
            return taken;
        }
    }
    return 0;
}
