/* Isolation levels: how far tasks are kept apart. */
#ifndef RW_ISOLATION_H
#define RW_ISOLATION_H

enum rw_isolation {
    RW_ISOLATION_POD,     /* a pod for each task, then deleted */
    RW_ISOLATION_SANDBOX, /* pods that serve many tasks, several at a time, each in a fresh sandbox of its own */
    _RW_ISOLATION_MAX,
    _RW_ISOLATION_INVALID = -1
};

const char *rw_isolation_name(enum rw_isolation isolation);
enum rw_isolation rw_isolation_parse(const char *text); /* _RW_ISOLATION_INVALID when unknown */

#endif
