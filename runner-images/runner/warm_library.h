/* The hold (../warm/hold.c), as the file it is. */
#ifndef RUNNER_WARM_LIBRARY_H
#define RUNNER_WARM_LIBRARY_H

#include <stdint.h>

extern const uint8_t warm_library[];
extern const uint64_t warm_library_bytes;

#endif
