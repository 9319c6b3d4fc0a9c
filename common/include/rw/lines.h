/* Cuts a stream into lines, whatever way the network has cut and joined it. A partial line waits for its rest, up to a bound. Pure. */
#ifndef RW_LINES_H
#define RW_LINES_H

#include <rw/bytes.h>

struct rw_lines {
    struct rw_buffer partial;
};

/* Without its newline, borrowed during the call; empty ones are passed over. 1: go on; 0: enough, the rest of the bytes is dropped; -1. */
typedef int (*rw_lines_each)(void *arg, struct rw_bytes line, struct rw_error *err);

void rw_lines_init(struct rw_lines *lines, size_t line_bytes_max);
void rw_lines_done(struct rw_lines *lines);
void rw_lines_clear(struct rw_lines *lines); /* for a new stream */
/* TOO_LARGE when a line is longer than its bound, or what `each` has failed with; the stream is of no use afterwards. */
RW_NODISCARD int rw_lines_feed(struct rw_lines *lines, struct rw_bytes bytes, rw_lines_each each, void *arg, struct rw_error *err);

#endif
