/* The hold: a library that is preloaded into a runtime that is started before its job is there.
 *
 * The runtime is the very program with the very arguments, environment, descriptors, limits and filters of a cold start. It comes
 * up by itself until it first looks at something in the work folder that a job could have put there: its program. That one call
 * waits here until init has written the job's files, and then is made as if nothing had been. So nothing has to be imitated: what
 * the code sees is a cold start, because it is one. Names beginning with a dot do not hold (runtimes look for settings there);
 * init takes no job with such files to a process that has been started ahead.
 *
 * Before main() the library takes itself out of the environment, for the C library as well as for /proc/self/environ. What remains
 * of it is a few pages in /proc/self/maps. It runs no code of the job, knows nothing of it, and after the release passes every call
 * on. It allocates nothing: the heap stays as it is without it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hold.h"

enum { STATE_BEFORE, STATE_HELD, STATE_RELEASED, EXIT_UNWANTED = 127 };

static int state = STATE_RELEASED; /* until the library has found that it is wanted */

/* ---- waiting ---- */

static bool read_exactly(void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        long n = syscall(SYS_read, HOLD_CHANNEL_FD, (char *)data + done, len - done);
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static void await_release(void)
{
    const char held = HOLD_HELD_BYTE;
    struct hold_release release;
    /* Whoever was let go before it came here finds the other end closed, and its release in the channel. */
    (void)syscall(SYS_sendto, HOLD_CHANNEL_FD, &held, 1, MSG_NOSIGNAL, NULL, 0);
    if (!read_exactly(&release, sizeof(release)) || release.n_limits > HOLD_LIMITS_MAX) {
        _exit(EXIT_UNWANTED); /* no job: nobody will look at this status */
    }
    for (uint32_t i = 0; i < release.n_limits; i++) {
        struct rlimit limit;
        int resource = release.limits[i].resource;
        if (syscall(SYS_prlimit64, 0, resource, NULL, &limit) == 0) {
            /* A runtime that has raised its soft limit to the hard one would have done so within the job's own. */
            bool is_raised = limit.rlim_cur == limit.rlim_max;
            limit.rlim_cur = is_raised                                 ? release.limits[i].hard
                             : limit.rlim_cur < release.limits[i].soft ? limit.rlim_cur
                                                                       : release.limits[i].soft;
            limit.rlim_max = release.limits[i].hard;
            (void)syscall(SYS_prlimit64, 0, resource, &limit, NULL);
        }
    }
    (void)syscall(SYS_close, HOLD_CHANNEL_FD);
}

static bool is_of_the_job(const char *path)
{
    if (!path) {
        return false;
    }
    if (path[0] == '/') {
        size_t len = sizeof(HOLD_FOLDER) - 1;
        if (strncmp(path, HOLD_FOLDER, len) != 0 || path[len] != '/') {
            return false;
        }
        path += len + 1;
    }
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
    }
    return path[0] != '\0' && path[0] != '.' && path[0] != '/';
}

/* Other threads that come here while one waits wait, too. */
static void hold(const char *path)
{
    if (__builtin_expect(__atomic_load_n(&state, __ATOMIC_ACQUIRE) == STATE_RELEASED, 1) || !is_of_the_job(path)) {
        return;
    }
    int before = STATE_BEFORE;
    if (__atomic_compare_exchange_n(&state, &before, STATE_HELD, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        await_release();
        __atomic_store_n(&state, STATE_RELEASED, __ATOMIC_RELEASE);
        (void)syscall(SYS_futex, &state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
    while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == STATE_HELD) {
        (void)syscall(SYS_futex, &state, FUTEX_WAIT, STATE_HELD, NULL, NULL, 0);
    }
}

/* ---- the calls by which runtimes look at files ---- */

typedef void (*any_function)(void);

static any_function next_of(const char *name, any_function *cache)
{
    any_function found = __atomic_load_n(cache, __ATOMIC_RELAXED);
    if (!found) {
        void *symbol = dlsym(RTLD_NEXT, name);
        memcpy(&found, &symbol, sizeof(found));
        __atomic_store_n(cache, found, __ATOMIC_RELAXED);
    }
    return found;
}

#define EXPORTED __attribute__((visibility("default")))
/* name(parameters): hold at path, then the C library's own. */
/* NOLINTBEGIN(bugprone-macro-parentheses): types and lists of parameters bear none */
#define PASSED(result, name, parameters, path, arguments)                                                                          \
    EXPORTED result name parameters;                                                                                               \
    EXPORTED result name parameters                                                                                                \
    {                                                                                                                              \
        static any_function cache;                                                                                                 \
        hold(path);                                                                                                                \
        return ((result(*) parameters)next_of(#name, &cache))arguments;                                                            \
    }
#define PASSED_OPEN(name, parameters, path, arguments)                                                                             \
    EXPORTED int name parameters;                                                                                                  \
    EXPORTED int name parameters                                                                                                   \
    {                                                                                                                              \
        static any_function cache;                                                                                                 \
        va_list rest;                                                                                                              \
        va_start(rest, flags);                                                                                                     \
        mode_t mode = va_arg(rest, mode_t); /* nonsense where none was given, and then not looked at */                            \
        va_end(rest);                                                                                                              \
        hold(path);                                                                                                                \
        return ((int(*) parameters)next_of(#name, &cache))arguments;                                                               \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

#ifndef __clang__
/* The C library's headers say that paths are not NULL; who calls may not know. */
#pragma GCC diagnostic ignored "-Wnonnull-compare"
#endif
PASSED(int, stat, (const char *path, struct stat *st), path, (path, st))
PASSED(int, stat64, (const char *path, struct stat64 *st), path, (path, st))
PASSED(int, lstat, (const char *path, struct stat *st), path, (path, st))
PASSED(int, lstat64, (const char *path, struct stat64 *st), path, (path, st))
PASSED(int, fstatat, (int dir, const char *path, struct stat *st, int flags), path, (dir, path, st, flags))
PASSED(int, fstatat64, (int dir, const char *path, struct stat64 *st, int flags), path, (dir, path, st, flags))
PASSED(int, statx, (int dir, const char *path, int flags, unsigned mask, struct statx *st), path, (dir, path, flags, mask, st))
PASSED(int, access, (const char *path, int mode), path, (path, mode))
PASSED(int, faccessat, (int dir, const char *path, int mode, int flags), path, (dir, path, mode, flags))
PASSED(ssize_t, readlink, (const char *path, char *target, size_t size), path, (path, target, size))
PASSED(FILE *, fopen, (const char *path, const char *mode), path, (path, mode))
PASSED(FILE *, fopen64, (const char *path, const char *mode), path, (path, mode))
PASSED_OPEN(open, (const char *path, int flags, ...), path, (path, flags, mode))
PASSED_OPEN(open64, (const char *path, int flags, ...), path, (path, flags, mode))
PASSED_OPEN(openat, (int dir, const char *path, int flags, ...), path, (dir, path, flags, mode))
PASSED_OPEN(openat64, (int dir, const char *path, int flags, ...), path, (dir, path, flags, mode))

/* libuv calls statx through this one. */
EXPORTED long syscall(long number, ...); /* NOLINT(readability-redundant-declaration): with this visibility */
EXPORTED long syscall(long number, ...)
{
    static any_function cache;
    va_list rest;
    long given[6];
    va_start(rest, number);
    for (unsigned i = 0; i < 6; i++) {
        given[i] = va_arg(rest, long);
    }
    va_end(rest);
    if (number == SYS_statx || number == SYS_openat || number == SYS_newfstatat) {
        hold((const char *)given[1]);
    }
    return ((long (*)(long, ...))next_of("syscall", &cache))(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

/* ---- coming in unseen ---- */

/* Fields of /proc/self/stat, counted from 1, that the kernel wants told along with the one that changes. */
enum {
    FIELD_START_CODE = 26,
    FIELD_END_CODE,
    FIELD_START_STACK,
    FIELD_START_DATA = 45,
    FIELD_END_DATA,
    FIELD_START_BRK,
    FIELD_ARG_START,
    FIELD_ARG_END,
    FIELD_ENV_START,
    FIELD_ENV_END,
    FIELDS_END
};

static bool read_stat(unsigned long fields[static FIELDS_END])
{
    char text[1024];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC);
    long len = fd < 0 ? -1 : syscall(SYS_read, fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        (void)syscall(SYS_close, fd);
    }
    text[len > 0 ? len : 0] = '\0';
    char *at = strrchr(text, ')');
    unsigned field = 2;
    for (; at && field + 1 < FIELDS_END && (at = strchr(at, ' ')); at++) {
        fields[++field] = strtoul(at, NULL, 10);
    }
    return field + 1 == FIELDS_END;
}

/* The environment's first entry is ours: the kernel's idea of where the environment begins moves past it. */
static void hide_from_proc(const char *entry)
{
    unsigned long field[FIELDS_END] = {0};
    if (!read_stat(field) || field[FIELD_ENV_START] != (unsigned long)entry) {
        return;
    }
    struct prctl_mm_map map = {
        .start_code = field[FIELD_START_CODE],
        .end_code = field[FIELD_END_CODE],
        .start_data = field[FIELD_START_DATA],
        .end_data = field[FIELD_END_DATA],
        .start_brk = field[FIELD_START_BRK],
        .brk = (unsigned long)syscall(SYS_brk, 0),
        .start_stack = field[FIELD_START_STACK],
        .arg_start = field[FIELD_ARG_START],
        .arg_end = field[FIELD_ARG_END],
        .env_start = field[FIELD_ENV_START] + sizeof(HOLD_PRELOAD),
        .env_end = field[FIELD_ENV_END],
        .exe_fd = (uint32_t)-1,
    };
    (void)syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}

__attribute__((constructor)) static void come_in(void)
{
    char **entries = environ;
    if (!entries || !entries[0] || strcmp(entries[0], HOLD_PRELOAD) != 0) {
        return;
    }
    hide_from_proc(entries[0]);
    for (size_t i = 0; entries[i]; i++) {
        entries[i] = entries[i + 1];
    }
    (void)syscall(SYS_close, HOLD_LIBRARY_FD);
    state = STATE_BEFORE;
}
