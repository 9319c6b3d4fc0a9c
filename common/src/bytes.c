/* The growing buffer. It doubles up to its bound and never past it; what does not fit is refused or left to the caller. */
#include <rw/bytes.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>

enum { CAPACITY_MIN = 256 };

void rw_buffer_init(struct rw_buffer *buffer, size_t len_max)
{
    *buffer = (struct rw_buffer){.len_max = len_max};
}

void rw_buffer_done(struct rw_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct rw_buffer){0};
}

void rw_buffer_clear(struct rw_buffer *buffer)
{
    buffer->len = 0;
}

/* Make room for len more bytes, which are known to fit below len_max. */
static void reserve(struct rw_buffer *buffer, size_t len)
{
    size_t needed = buffer->len + len;
    if (needed <= buffer->capacity) {
        return;
    }
    size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity;
    while (capacity < needed) {
        capacity = capacity > buffer->len_max / 2 ? buffer->len_max : capacity * 2;
    }
    buffer->data = rw_xrealloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

size_t rw_buffer_append_some(struct rw_buffer *buffer, const void *data, size_t len)
{
    size_t room = buffer->len_max > buffer->len ? buffer->len_max - buffer->len : 0;
    size_t taken = len < room ? len : room;
    if (taken) {
        reserve(buffer, taken);
        memcpy(buffer->data + buffer->len, data, taken);
        buffer->len += taken;
    }
    return taken;
}

int rw_buffer_append(struct rw_buffer *buffer, const void *data, size_t len, struct rw_error *err)
{
    if (buffer->len > buffer->len_max || len > buffer->len_max - buffer->len) {
        return rw_fail(err, TOO_LARGE, "more than %zu bytes", buffer->len_max);
    }
    (void)rw_buffer_append_some(buffer, data, len);
    return 0;
}

int rw_buffer_printf(struct rw_buffer *buffer, struct rw_error *err, const char *fmt, ...)
{
    char small[512];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    if (len < 0) {
        return rw_fail(err, INTERNAL, "format \"%s\"", fmt);
    }
    if ((size_t)len < sizeof(small)) {
        return rw_buffer_append(buffer, small, (size_t)len, err);
    }
    RW_AUTO_FREE char *large = rw_xmalloc((size_t)len + 1);
    va_start(args, fmt);
    (void)vsnprintf(large, (size_t)len + 1, fmt, args);
    va_end(args);
    return rw_buffer_append(buffer, large, (size_t)len, err);
}

void rw_buffer_consume(struct rw_buffer *buffer, size_t len)
{
    size_t dropped = len < buffer->len ? len : buffer->len;
    if (dropped) {
        buffer->len -= dropped;
        memmove(buffer->data, buffer->data + dropped, buffer->len);
    }
}
