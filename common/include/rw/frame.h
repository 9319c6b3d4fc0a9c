/* Frames: a 4-byte big-endian length, then that many bytes holding one MessagePack map. Cuts a byte stream into frames. */
#ifndef RW_FRAME_H
#define RW_FRAME_H

#include <rw/bytes.h>

enum { RW_FRAME_HEADER_BYTES = 4, RW_FRAME_BYTES_MAX = 20 * 1024 * 1024 };

struct rw_frame_reader {
    struct rw_buffer buffer;
    size_t frame_bytes_max; /* a longer announced length is refused before memory is taken */
    size_t consumed;        /* bytes at the buffer's front that were handed out; dropped by the next feed */
};

void rw_frame_reader_init(struct rw_frame_reader *reader, size_t frame_bytes_max);
void rw_frame_reader_done(struct rw_frame_reader *reader);
/* Add bytes from the stream (1 MiB at most), after every frame that is there was taken. PROTOCOL when an announced length is 0 or
 * too long, TOO_LARGE when frames pile up. */
RW_NODISCARD int rw_frame_reader_feed(struct rw_frame_reader *reader, struct rw_bytes bytes, struct rw_error *err);
/* The next complete frame's payload, borrowed until the next feed or done. Returns 1, 0 when there is none yet, -1. */
RW_NODISCARD int rw_frame_reader_next(struct rw_frame_reader *reader, struct rw_bytes *ret_payload, struct rw_error *err);
/* Write the header of a payload of len bytes. */
void rw_frame_header(size_t len, uint8_t out[static RW_FRAME_HEADER_BYTES]);

#endif
