/* What the fuzz targets share. A target is one LLVMFuzzerTestOneInput; libFuzzer brings main, or replay.c does. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is; never compiled away. */
#define HOLDS(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) {                                                                                                        \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                                   \
            abort();                                                                                                               \
        }                                                                                                                          \
    } while (0)

#endif
