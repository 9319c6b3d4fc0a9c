/* Structured log: one line is one JSON object is one write(2) to standard error. Thread-safe.
 *
 *   rw_log(RW_LOG_INFO, "task recorded", RW_LOG_STR("task_id", id), RW_LOG_INT("attempt", 2));
 *
 * Every line has time, level, daemon, message; fields follow. Strings are escaped and cut at 4 KiB; bytes that are not UTF-8
 * are written as U+FFFD. A line never exceeds 16 KiB. Only daemons log (and the runner for itself); library code returns errors. */
#ifndef RW_LOG_H
#define RW_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <rw/error.h>

enum rw_log_level { RW_LOG_DEBUG, RW_LOG_INFO, RW_LOG_WARNING, RW_LOG_ERROR, _RW_LOG_MAX };

enum rw_log_kind { _RW_LOG_END, _RW_LOG_STR, _RW_LOG_INT, _RW_LOG_FLOAT, _RW_LOG_BOOL };

struct rw_log_field {
    const char *key; /* static, lower_snake */
    enum rw_log_kind kind;
    union {
        const char *text; /* NULL is written as null */
        int64_t integer;
        double real;
        bool flag;
    } value;
};

#define RW_LOG_STR(k, v)   ((struct rw_log_field){.key = (k), .kind = _RW_LOG_STR, .value.text = (v)})
#define RW_LOG_INT(k, v)   ((struct rw_log_field){.key = (k), .kind = _RW_LOG_INT, .value.integer = (int64_t)(v)})
#define RW_LOG_FLOAT(k, v) ((struct rw_log_field){.key = (k), .kind = _RW_LOG_FLOAT, .value.real = (v)})
#define RW_LOG_BOOL(k, v)  ((struct rw_log_field){.key = (k), .kind = _RW_LOG_BOOL, .value.flag = (v)})

/* daemon: static string put on every line ("scheduler"). */
void rw_log_setup(const char *daemon, enum rw_log_level level_min);
/* "debug", "info", "warning", "error"; INVALID otherwise. */
RW_NODISCARD int rw_log_level_parse(const char *text, enum rw_log_level *ret_level, struct rw_error *err);

/* The list of fields that begins behind an element of no meaning: a comma before __VA_ARGS__ may then be swallowed with it. */
#define _RW_LOG_FIELDS(...)         ((const struct rw_log_field[]){{.kind = _RW_LOG_END}, ##__VA_ARGS__, {.kind = _RW_LOG_END}} + 1)
#define rw_log(level, message, ...) rw_log_write((level), (message), _RW_LOG_FIELDS(__VA_ARGS__))
/* An error's code, message and errno as fields, with further fields behind. */
#define rw_log_error(level, message, err, ...) rw_log_write_error((level), (message), (err), _RW_LOG_FIELDS(__VA_ARGS__))

void rw_log_write(enum rw_log_level level, const char *message, const struct rw_log_field *fields);
void rw_log_write_error(enum rw_log_level level, const char *message, const struct rw_error *err,
                        const struct rw_log_field *fields);

#endif
