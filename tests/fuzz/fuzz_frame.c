/* A stream of frames, cut into reads as the first byte says: the frames are the same as from one read, and memory is bounded. */
#include "fuzz.h"

#include <rw/auto.h>
#include <rw/frame.h>
#include <string.h>

enum { FRAME_BYTES_MAX = 4096, STREAM_BYTES_MAX = 64 * 1024 };

/* The payloads one after the other, each behind its length; stops at the first error. */
static void read_frames(const uint8_t *data, size_t size, size_t step, struct rw_buffer *out)
{
    struct rw_error err = {0};
    struct rw_frame_reader reader;
    rw_frame_reader_init(&reader, FRAME_BYTES_MAX);
    int got = 0;
    for (size_t place = 0; place < size && got >= 0; place += step) {
        size_t len = size - place < step ? size - place : step;
        struct rw_bytes payload;
        if (rw_frame_reader_feed(&reader, rw_bytes_of(data + place, len), &err) < 0) {
            HOLDS(err.code == RW_ERR_PROTOCOL);
            break;
        }
        while ((got = rw_frame_reader_next(&reader, &payload, &err)) > 0) {
            HOLDS(payload.len > 0 && payload.len <= FRAME_BYTES_MAX);
            HOLDS(rw_buffer_append(out, &payload.len, sizeof(payload.len), &err) == 0);
            HOLDS(rw_buffer_append(out, payload.data, payload.len, &err) == 0);
        }
        HOLDS(reader.buffer.capacity <= 2 * (STREAM_BYTES_MAX + FRAME_BYTES_MAX));
    }
    rw_frame_reader_done(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RW_AUTO_BUFFER struct rw_buffer whole;
    RW_AUTO_BUFFER struct rw_buffer pieces;
    rw_buffer_init(&whole, SIZE_MAX);
    rw_buffer_init(&pieces, SIZE_MAX);
    if (size < 1 || size > STREAM_BYTES_MAX) {
        return 0;
    }
    read_frames(data + 1, size - 1, size, &whole);
    read_frames(data + 1, size - 1, (size_t)data[0] + 1, &pieces);
    HOLDS(whole.len == pieces.len && (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0));
    return 0;
}
