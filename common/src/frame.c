/* Cuts a byte stream into frames. Memory is bounded by the longest permitted frame and one read, whatever length is announced:
 * the header is checked as soon as its four bytes are there, and nothing is reserved ahead. */
#include <rw/frame.h>

#include <string.h>

enum { READ_BYTES_MAX = 1024 * 1024 };

void rw_frame_reader_init(struct rw_frame_reader *reader, size_t frame_bytes_max)
{
    *reader = (struct rw_frame_reader){.frame_bytes_max = frame_bytes_max};
    rw_buffer_init(&reader->buffer, RW_FRAME_HEADER_BYTES + frame_bytes_max + READ_BYTES_MAX);
}

void rw_frame_reader_done(struct rw_frame_reader *reader)
{
    rw_buffer_done(&reader->buffer);
    reader->consumed = 0;
}

/* The announced length of the frame at the reader's place: 1, 0 when its header is not complete, -1. */
static int announced_len(const struct rw_frame_reader *reader, size_t *ret_len, struct rw_error *err)
{
    if (reader->buffer.len - reader->consumed < RW_FRAME_HEADER_BYTES) {
        return 0;
    }
    const uint8_t *header = reader->buffer.data + reader->consumed;
    size_t len = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    if (len == 0 || len > reader->frame_bytes_max) {
        return rw_fail(err, PROTOCOL, "a frame of %zu bytes, 1 to %zu are permitted", len, reader->frame_bytes_max);
    }
    *ret_len = len;
    return 1;
}

int rw_frame_reader_feed(struct rw_frame_reader *reader, struct rw_bytes bytes, struct rw_error *err)
{
    /* Once a read rather than once a frame, so that many small frames in one read cost no quadratic moving. */
    rw_buffer_consume(&reader->buffer, reader->consumed);
    reader->consumed = 0;
    if (rw_buffer_append(&reader->buffer, bytes.data, bytes.len, err) < 0) {
        return -1;
    }
    size_t len;
    return announced_len(reader, &len, err) < 0 ? -1 : 0;
}

int rw_frame_reader_next(struct rw_frame_reader *reader, struct rw_bytes *ret_payload, struct rw_error *err)
{
    size_t len;
    int known = announced_len(reader, &len, err);
    if (known <= 0) {
        return known;
    }
    if (reader->buffer.len - reader->consumed - RW_FRAME_HEADER_BYTES < len) {
        return 0;
    }
    *ret_payload = rw_bytes_of(reader->buffer.data + reader->consumed + RW_FRAME_HEADER_BYTES, len);
    reader->consumed += RW_FRAME_HEADER_BYTES + len;
    return 1;
}

void rw_frame_header(size_t len, uint8_t out[static RW_FRAME_HEADER_BYTES])
{
    for (size_t i = 0; i < RW_FRAME_HEADER_BYTES; i++) {
        out[i] = (uint8_t)(len >> (24 - 8 * i));
    }
}
