/* Ownership: release at scope exit by the cleanup attribute, and TAKE to hand it out.
 *
 * RW_DEFINE_AUTO(struct rw_job *, rw_job_free) beside a free function defines rw_job_freep, used as
 * `RW_AUTO(rw_job_free) struct rw_job *job = NULL;`. Free functions accept NULL. Memory comes from the rw_x family, which aborts
 * when there is none: durable state is in PostgreSQL and RabbitMQ, and every size that a stranger chooses is bounded first. */
#ifndef RW_AUTO_H
#define RW_AUTO_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define RW_AUTO(fn) __attribute__((cleanup(fn##p)))
#define RW_DEFINE_AUTO(type, fn)                                                                                                   \
    static inline void fn##p(__typeof__(type) *value)                                                                              \
    {                                                                                                                              \
        if (*value) {                                                                                                              \
            fn(*value);                                                                                                            \
        }                                                                                                                          \
    }                                                                                                                              \
    struct rw_auto_needs_a_semicolon

#define rw_take(value)                                                                                                             \
    __extension__({                                                                                                                \
        __typeof__(value) *_from = &(value);                                                                                       \
        __typeof__(value) _taken = *_from;                                                                                         \
        *_from = NULL;                                                                                                             \
        _taken;                                                                                                                    \
    })

static inline int rw_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void rw_auto_freep(void *value)
{
    free(*(void **)value);
}

static inline void rw_auto_fdp(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

#define RW_AUTO_FREE __attribute__((cleanup(rw_auto_freep)))
#define RW_AUTO_FD   __attribute__((cleanup(rw_auto_fdp)))

void *rw_xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *rw_xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *rw_xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *rw_xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *rw_xstrndup(const char *text, size_t len_max) __attribute__((malloc, returns_nonnull));
void *rw_xmemdup(const void *data, size_t len) __attribute__((malloc, returns_nonnull));
char *rw_xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

#define RW_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
