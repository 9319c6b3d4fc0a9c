/* What the sandbox's init and the hold inside a process that was started ahead have agreed on. */
#ifndef WARM_HOLD_H
#define WARM_HOLD_H

#include <stdint.h>

/* Above the numbers that a runtime's own descriptors get, so that every one it opens has the number it has when cold; within the 64
 * that the kernel makes room for at once, because the size of that table can be seen. */
enum {
    HOLD_CHANNEL_FD = 61, /* a stream socket to init; closed when the process is let go */
    HOLD_LIBRARY_FD = 62, /* the hold itself; closed once it is loaded */
    HOLD_HOST_FD = 63,    /* a text that the plan brings, for the program that is started in a compiler's place */
    HOLD_FDS_END = 64,
};
#define HOLD_PRELOAD "LD_PRELOAD=/proc/self/fd/62"
#define HOLD_FOLDER  "/box"

enum { HOLD_HELD_BYTE = 'H', HOLD_LIMITS_MAX = 8 };

/* From init, once: the job's files are there, go on. What is given here is never more than what the process has. */
struct hold_release {
    uint32_t n_limits;
    struct {
        int32_t resource;
        uint64_t soft;
        uint64_t hard;
    } limits[HOLD_LIMITS_MAX];
};

#endif
