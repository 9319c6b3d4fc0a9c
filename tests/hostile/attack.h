/* For attacks in C: what must fail is tried, what succeeds is told. */
#ifndef ATTACK_H
#define ATTACK_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int escapes;

#define MUST_FAIL(call)                                                                                                            \
    do {                                                                                                                           \
        errno = 0;                                                                                                                 \
        long result_of_call = (long)(call);                                                                                        \
        if (result_of_call != -1) {                                                                                                \
            printf("ESCAPED: %s gave %ld\n", #call, result_of_call);                                                               \
            escapes++;                                                                                                             \
        }                                                                                                                          \
    } while (0)

#define MUST_HOLD(condition)                                                                                                       \
    do {                                                                                                                           \
        if (!(condition)) {                                                                                                        \
            printf("ESCAPED: not %s (errno %s)\n", #condition, strerror(errno));                                                   \
            escapes++;                                                                                                             \
        }                                                                                                                          \
    } while (0)

static inline int held(void)
{
    puts(escapes ? "not held" : "held");
    return escapes != 0;
}

#endif
