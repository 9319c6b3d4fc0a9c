/* A line that comes whole is not copied. */
#include <rw/lines.h>

#include <string.h>

void rw_lines_init(struct rw_lines *lines, size_t line_bytes_max)
{
    rw_buffer_init(&lines->partial, line_bytes_max);
}

void rw_lines_done(struct rw_lines *lines)
{
    rw_buffer_done(&lines->partial);
}

void rw_lines_clear(struct rw_lines *lines)
{
    rw_buffer_clear(&lines->partial);
}

int rw_lines_feed(struct rw_lines *lines, struct rw_bytes bytes, rw_lines_each each, void *arg, struct rw_error *err)
{
    while (bytes.len > 0) {
        const uint8_t *end = memchr(bytes.data, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.data) : bytes.len;
        struct rw_bytes line = rw_bytes_of(bytes.data, len);
        if (!end || lines->partial.len > 0 || len > lines->partial.len_max) { /* too long a one is refused by the buffer */
            if (rw_buffer_append(&lines->partial, bytes.data, len, err) < 0) {
                return -1;
            }
            line = rw_buffer_view(&lines->partial);
        }
        if (!end) {
            return 0;
        }
        bytes = rw_bytes_of(end + 1, bytes.len - len - 1);
        int taken = line.len > 0 ? each(arg, line, err) : 1;
        rw_buffer_clear(&lines->partial);
        if (taken <= 0) {
            return taken;
        }
    }
    return 0;
}
