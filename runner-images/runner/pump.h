/* The code's pipes, from the runner's side: outputs with a cap that go on being drained past it, and the input. */
#ifndef RUNNER_PUMP_H
#define RUNNER_PUMP_H

#include <rw/runner_protocol.h>

#include "loop.h"

struct pump {
    struct loop *loop;
    struct loop_source source; /* the read end, -1 when closed */
    enum rw_stream stream;
    uint64_t bytes_max;
    uint64_t bytes_kept;
    bool is_exceeded;
    void (*data)(void *context, enum rw_stream stream, struct rw_bytes bytes); /* at most RW_OUTPUT_CHUNK_BYTES_MAX each */
    void (*exceeded)(void *context);                                           /* called once */
    void *context;
};

/* Takes the descriptor. data, exceeded, context and stream are set by the caller before. */
void pump_start(struct pump *pump, struct loop *loop, int fd, uint64_t bytes_max);
/* Read what is in the pipe now, never waiting for more; then close. For when every writer is dead. */
void pump_drain(struct pump *pump);

struct feeder {
    struct loop *loop;
    struct loop_source source; /* the write end, -1 when closed */
    uint8_t *data;             /* owned */
    size_t len;
    size_t done;
};

/* Takes descriptor and data; closes the pipe when all is written or nobody reads. */
void feeder_start(struct feeder *feeder, struct loop *loop, int fd, uint8_t *data, size_t len);
void feeder_stop(struct feeder *feeder);

#endif
