/* The structured log. A line is formatted on the caller's stack and leaves in one write(2), so threads need no lock and lines
 * never mix. The only state is what rw_log_setup sets once: the daemon's name and the lowest level. */
#include <rw/log.h>

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>

#include "utf8.h"

enum {
    LINE_BYTES_MAX = 16 * 1024,
    TEXT_BYTES_MAX = 4 * 1024, /* of a string before escaping */
    TAIL_BYTES = 32,           /* kept free for the end of the line */
};

static _Atomic(const char *) log_daemon = "";
static atomic_int log_level_min = RW_LOG_INFO;

static const char *const level_names[_RW_LOG_MAX] = {
    [RW_LOG_DEBUG] = "debug",
    [RW_LOG_INFO] = "info",
    [RW_LOG_WARNING] = "warning",
    [RW_LOG_ERROR] = "error",
};

struct line {
    size_t len;
    bool is_full; /* something was left out */
    char text[LINE_BYTES_MAX];
};

/* All or nothing, so that a line that is full stays well-formed. */
static bool put(struct line *line, const char *text, size_t len)
{
    if (line->len + len > LINE_BYTES_MAX - TAIL_BYTES) {
        line->is_full = true;
        return false;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

static bool RW_PRINTF(2, 3) put_format(struct line *line, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text)) {
        line->is_full = true;
        return false;
    }
    return put(line, text, (size_t)len);
}

/* One character of a string, escaped: out holds what it becomes; returns the bytes consumed of text. */
static size_t escape_one(const uint8_t *text, size_t len, char out[8], size_t *ret_out_len)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    size_t step = rw_utf8_step(text, len);
    if (step == 0) {
        memcpy(out, replacement, 3);
        *ret_out_len = 3;
        return 1;
    }
    if (text[0] == '"' || text[0] == '\\') {
        out[0] = '\\';
        out[1] = (char)text[0];
        *ret_out_len = 2;
    } else if (text[0] < 0x20 || text[0] == 0x7F) {
        *ret_out_len = (size_t)snprintf(out, 8, "\\u%04x", text[0]);
    } else {
        memcpy(out, text, step);
        *ret_out_len = step;
    }
    return step;
}

/* A string is cut rather than left out; room for its closing quote is always kept by TAIL_BYTES. */
static bool put_string(struct line *line, const char *text)
{
    if (!text) {
        return put(line, "null", 4);
    }
    if (!put(line, "\"", 1)) {
        return false;
    }
    size_t len = strnlen(text, TEXT_BYTES_MAX + 4);
    size_t place = 0;
    while (place < len && place < TEXT_BYTES_MAX) {
        char escaped[8];
        size_t escaped_len;
        size_t step = escape_one((const uint8_t *)text + place, len - place, escaped, &escaped_len);
        if (!put(line, escaped, escaped_len)) {
            break;
        }
        place += step;
    }
    line->is_full = line->is_full || place < len;
    line->text[line->len++] = '"';
    return true;
}

static bool put_value(struct line *line, const struct rw_log_field *field)
{
    switch (field->kind) {
    case _RW_LOG_STR:
        return put_string(line, field->value.text);
    case _RW_LOG_INT:
        return put_format(line, "%lld", (long long)field->value.integer);
    case _RW_LOG_FLOAT:
        return isfinite(field->value.real) ? put_format(line, "%.9g", field->value.real) : put(line, "null", 4);
    case _RW_LOG_BOOL:
        return put_format(line, "%s", field->value.flag ? "true" : "false");
    case _RW_LOG_END:
        break;
    }
    return false;
}

/* A field stands whole on the line or not at all; only its string may be cut. */
static void put_fields(struct line *line, const struct rw_log_field *fields)
{
    for (; fields->kind != _RW_LOG_END; fields++) {
        size_t start = line->len;
        if (!put_format(line, ",\"%s\":", fields->key) || !put_value(line, fields)) {
            line->len = start;
        }
    }
}

static void write_line(struct line *line)
{
    if (line->is_full) {
        static const char mark[] = ",\"truncated\":true";
        memcpy(line->text + line->len, mark, sizeof(mark) - 1);
        line->len += sizeof(mark) - 1;
    }
    line->text[line->len++] = '}';
    line->text[line->len++] = '\n';
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line->text, line->len);
    } while (written < 0 && errno == EINTR);
}

static void log_two(enum rw_log_level level, const char *message, const struct rw_log_field *first,
                    const struct rw_log_field *second)
{
    if ((unsigned)level >= _RW_LOG_MAX || (int)level < atomic_load_explicit(&log_level_min, memory_order_relaxed)) {
        return;
    }
    int saved_errno = errno;
    struct line line;
    line.len = 0;
    line.is_full = false;
    char now[RW_RFC3339_BYTES];
    const struct rw_log_field head[] = {
        RW_LOG_STR("level", level_names[level]),
        RW_LOG_STR("daemon", atomic_load_explicit(&log_daemon, memory_order_relaxed)),
        RW_LOG_STR("message", message),
        {.kind = _RW_LOG_END},
    };
    (void)put_format(&line, "{\"time\":\"%s\"", rw_format_rfc3339(rw_realtime_us(), now));
    put_fields(&line, head);
    put_fields(&line, first);
    put_fields(&line, second);
    write_line(&line);
    errno = saved_errno;
}

void rw_log_setup(const char *daemon, enum rw_log_level level_min)
{
    atomic_store_explicit(&log_daemon, daemon, memory_order_relaxed);
    atomic_store_explicit(&log_level_min, (int)level_min, memory_order_relaxed);
}

int rw_log_level_parse(const char *text, enum rw_log_level *ret_level, struct rw_error *err)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum rw_log_level)i;
            return 0;
        }
    }
    return rw_fail(err, INVALID, "log level \"%s\" is not one of debug, info, warning, error", text);
}

void rw_log_write(enum rw_log_level level, const char *message, const struct rw_log_field *fields)
{
    static const struct rw_log_field none[] = {{.kind = _RW_LOG_END}};
    log_two(level, message, none, fields);
}

void rw_log_write_error(enum rw_log_level level, const char *message, const struct rw_error *err, const struct rw_log_field *fields)
{
    const struct rw_log_field of_error[] = {
        RW_LOG_STR("error", rw_err_name(err->code)),
        RW_LOG_STR("error_message", err->message),
        RW_LOG_STR("error_where", err->where),
        err->sys_errno ? RW_LOG_INT("errno", err->sys_errno) : (struct rw_log_field){.kind = _RW_LOG_END},
        {.kind = _RW_LOG_END},
    };
    log_two(level, message, of_error, fields);
}
