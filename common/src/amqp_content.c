/* Putting a message together: method, header, body frames, as they come, so that nothing ever waits for the rest of a message.
 *
 * What the library decoded lies in its pool until the buffers are released, so everything needed later is copied at once. */
#include "amqp_internal.h"

#include <string.h>

void amqp_content_init(struct amqp_content *content)
{
    *content = (struct amqp_content){.method = 0};
    rw_buffer_init(&content->body, AMQP_BODY_BYTES_MAX);
}

void amqp_content_done(struct amqp_content *content)
{
    rw_buffer_done(&content->body);
}

static void copy_text(amqp_bytes_t from, char *out, size_t out_size)
{
    size_t len = from.len < out_size - 1 ? from.len : out_size - 1;
    if (len > 0) {
        memcpy(out, from.bytes, len);
    }
    out[len] = '\0';
}

static int feed_method(struct amqp_content *content, const amqp_method_t *method)
{
    if (content->method != 0) {
        return -1;
    }
    content->has_header = false;
    content->trace = (struct rw_trace){.traceparent = ""};
    content->sequence = -1;
    rw_buffer_clear(&content->body);
    if (method->id == AMQP_BASIC_DELIVER_METHOD) {
        const amqp_basic_deliver_t *deliver = method->decoded;
        content->tag = deliver->delivery_tag;
        content->is_redelivered = deliver->redelivered != 0;
        copy_text(deliver->routing_key, content->routing_key, sizeof(content->routing_key));
    } else if (method->id == AMQP_BASIC_RETURN_METHOD) {
        const amqp_basic_return_t *returned = method->decoded;
        content->tag = 0;
        content->is_redelivered = false;
        copy_text(returned->routing_key, content->routing_key, sizeof(content->routing_key));
    } else {
        return -1;
    }
    content->method = method->id;
    return 0;
}

static bool has_key(const amqp_table_entry_t *entry, const char *key)
{
    return entry->key.len == strlen(key) && memcmp(entry->key.bytes, key, entry->key.len) == 0;
}

static void read_headers(struct amqp_content *content, const amqp_table_t *headers)
{
    for (int i = 0; i < headers->num_entries; i++) {
        const amqp_table_entry_t *entry = &headers->entries[i];
        if (has_key(entry, "traceparent") && entry->value.kind == AMQP_FIELD_KIND_UTF8) {
            char text[RW_TRACEPARENT_BYTES + 1]; /* one more, so that a longer one is refused and not cut to size */
            copy_text(entry->value.value.bytes, text, sizeof(text));
            if (rw_trace_parse(text, &content->trace, NULL) != 0) {
                content->trace.traceparent[0] = '\0';
            }
        } else if (has_key(entry, AMQP_SEQUENCE_HEADER) && entry->value.kind == AMQP_FIELD_KIND_I64) {
            content->sequence = entry->value.value.i64;
        }
    }
}

static int feed_header(struct amqp_content *content, const amqp_frame_t *frame)
{
    if (content->method == 0 || content->has_header || frame->payload.properties.class_id != AMQP_BASIC_CLASS ||
        frame->payload.properties.body_size > AMQP_BODY_BYTES_MAX) {
        return -1;
    }
    const amqp_basic_properties_t *properties = frame->payload.properties.decoded;
    if (properties->_flags & AMQP_BASIC_HEADERS_FLAG) {
        read_headers(content, &properties->headers);
    }
    content->has_header = true;
    content->body_left = frame->payload.properties.body_size;
    return 0;
}

static int feed_body(struct amqp_content *content, const amqp_frame_t *frame)
{
    amqp_bytes_t fragment = frame->payload.body_fragment;
    if (!content->has_header || content->method == 0 || fragment.len > content->body_left) {
        return -1;
    }
    content->body_left -= fragment.len;
    return rw_buffer_append(&content->body, fragment.bytes, fragment.len, NULL);
}

int amqp_content_feed(struct amqp_content *content, const amqp_frame_t *frame)
{
    int rc = -1;
    switch (frame->frame_type) {
    case AMQP_FRAME_METHOD:
        rc = feed_method(content, &frame->payload.method);
        break;
    case AMQP_FRAME_HEADER:
        rc = feed_header(content, frame);
        break;
    case AMQP_FRAME_BODY:
        rc = feed_body(content, frame);
        break;
    default:
        break;
    }
    if (rc != 0) {
        return -1;
    }
    if (content->has_header && content->body_left == 0) {
        content->method = 0; /* the next method begins the next message */
        return 1;
    }
    return 0;
}
