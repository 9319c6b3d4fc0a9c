/* The error object of every fallible function: it lives on the caller's stack, needs no release and works when memory is short.
 *
 * Shape of a fallible function: int f(in..., struct T **ret_x, struct rw_error *err). It returns 0, or -1 with *err filled;
 * ret_ outputs are untouched on failure. The codes and what follows from each stand in error.def. Library code does not log. */
#ifndef RW_ERROR_H
#define RW_ERROR_H

#include <stdbool.h>

enum rw_err {
    RW_OK = 0,
#define RW_ERR(name, http_status, retryable, exit_code, text) RW_ERR_##name,
#include <rw/error.def>
#undef RW_ERR
    _RW_ERR_MAX
};

enum { RW_ERROR_MESSAGE_BYTES = 256 };

struct rw_error {
    enum rw_err code;
    int sys_errno;                        /* 0 when no system call was at fault */
    const char *where;                    /* static string: the function that failed */
    char message[RW_ERROR_MESSAGE_BYTES]; /* one line, complete, without secrets; cut when longer */
};

#define RW_NODISCARD         __attribute__((warn_unused_result))
#define RW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Fill *err and return -1: `return rw_fail(err, NOT_FOUND, "task %s", id);`. err may be NULL. The -1 stands here for the compiler
 * and static analysers to see. */
#define rw_fail(err, name, ...)                                                                                                    \
    __extension__({                                                                                                                \
        (void)rw_error_set((err), RW_ERR_##name, 0, __func__, __VA_ARGS__);                                                        \
        -1;                                                                                                                        \
    })
/* The same with errno's text behind the message: `return rw_fail_sys(err, IO, errno, "open %s", path);` */
#define rw_fail_sys(err, name, sys, ...)                                                                                           \
    __extension__({                                                                                                                \
        (void)rw_error_set((err), RW_ERR_##name, (sys), __func__, __VA_ARGS__);                                                    \
        -1;                                                                                                                        \
    })

int rw_error_set(struct rw_error *err, enum rw_err code, int sys_errno, const char *where, const char *fmt, ...) RW_PRINTF(5, 6);
/* Put "context: " before the message that is there; returns -1. */
int rw_error_wrap(struct rw_error *err, const char *fmt, ...) RW_PRINTF(2, 3);

const char *rw_err_name(enum rw_err code); /* "not_found": for logs and labels; static */
const char *rw_err_text(enum rw_err code); /* the table's text; static */
int rw_err_http_status(enum rw_err code);
bool rw_err_is_retryable(enum rw_err code);
int rw_err_exit_code(enum rw_err code);

#endif
