/* The error object and the table behind it. An error never owns memory; its message is one line, cut at a character's edge. */
#include <rw/error.h>

#include <rw/auto.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

struct row {
    const char *text;
    int http_status;
    bool is_retryable;
    int exit_code;
};

static const struct row rows[_RW_ERR_MAX] = {
    [RW_OK] = {"ok", 200, false, 0},
#define RW_ERR(name, status, retryable, exit_status, title) [RW_ERR_##name] = {title, status, retryable, exit_status},
#include <rw/error.def>
#undef RW_ERR
};

/* The preprocessor cannot write lower case; a unit test holds this table against error.def. */
static const char *const names[_RW_ERR_MAX] = {
    [RW_OK] = "ok",
    [RW_ERR_INVALID] = "invalid",
    [RW_ERR_UNAUTHORIZED] = "unauthorized",
    [RW_ERR_FORBIDDEN] = "forbidden",
    [RW_ERR_NOT_FOUND] = "not_found",
    [RW_ERR_METHOD] = "method",
    [RW_ERR_CONFLICT] = "conflict",
    [RW_ERR_FENCED] = "fenced",
    [RW_ERR_TOO_LARGE] = "too_large",
    [RW_ERR_MEDIA_TYPE] = "media_type",
    [RW_ERR_FIELDS] = "fields",
    [RW_ERR_RATE] = "rate",
    [RW_ERR_INTERNAL] = "internal",
    [RW_ERR_IO] = "io",
    [RW_ERR_UNSUPPORTED] = "unsupported",
    [RW_ERR_PROTOCOL] = "protocol",
    [RW_ERR_UNAVAILABLE] = "unavailable",
    [RW_ERR_OVERLOADED] = "overloaded",
    [RW_ERR_TIMEOUT] = "timeout",
    [RW_ERR_CANCELLED] = "cancelled",
    [RW_ERR_CONFIG] = "config",
};

static bool is_code(enum rw_err code)
{
    return (unsigned)code < _RW_ERR_MAX;
}

/* Bring a message that may have been cut into shape: no control characters, no half character at its end. */
static void tidy(char *message)
{
    size_t len = strlen(message);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)message[i] < 0x20 || message[i] == 0x7F) {
            message[i] = ' ';
        }
    }
    size_t lead = len;
    while (lead > 0 && len - lead < 3 && ((unsigned char)message[lead - 1] & 0xC0) == 0x80) {
        lead--;
    }
    if (lead > 0 && (unsigned char)message[lead - 1] >= 0xC0 &&
        !rw_utf8_step((const uint8_t *)message + lead - 1, len - lead + 1)) {
        message[lead - 1] = '\0';
    }
}

/* Put ": text" behind the len bytes of a message, as much as fits. */
static void append(char message[static RW_ERROR_MESSAGE_BYTES], size_t len, const char *text)
{
    size_t room = RW_ERROR_MESSAGE_BYTES - 1 - len;
    size_t colon_len = room < 2 ? room : 2;
    size_t text_len = strnlen(text, room - colon_len);
    memcpy(message + len, ": ", colon_len);
    memcpy(message + len + colon_len, text, text_len);
    message[len + colon_len + text_len] = '\0';
}

int rw_error_set(struct rw_error *err, enum rw_err code, int sys_errno, const char *where, const char *fmt, ...)
{
    if (!err) {
        return -1;
    }
    /* Formatted aside first: an argument may be the message that is there now. */
    char message[RW_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (len < 0) {
        message[0] = '\0';
        len = 0;
    }
    if (sys_errno && (size_t)len < sizeof(message)) {
        char text[128];
        append(message, (size_t)len, strerror_r(sys_errno, text, sizeof(text)));
    }
    tidy(message);
    err->code = code;
    err->sys_errno = sys_errno;
    err->where = where;
    memcpy(err->message, message, sizeof(message));
    return -1;
}

int rw_error_wrap(struct rw_error *err, const char *fmt, ...)
{
    if (!err) {
        return -1;
    }
    char message[RW_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof(message)) {
        int room = (int)sizeof(message) - len;
        (void)snprintf(message + len, (size_t)room, ": %.*s", room, err->message);
    }
    tidy(message);
    memcpy(err->message, message, sizeof(message));
    return -1;
}

const char *rw_err_name(enum rw_err code)
{
    return is_code(code) ? names[code] : "unknown";
}

const char *rw_err_text(enum rw_err code)
{
    return is_code(code) ? rows[code].text : "unknown error";
}

int rw_err_http_status(enum rw_err code)
{
    return is_code(code) ? rows[code].http_status : 500;
}

bool rw_err_is_retryable(enum rw_err code)
{
    return is_code(code) && rows[code].is_retryable;
}

int rw_err_exit_code(enum rw_err code)
{
    return is_code(code) ? rows[code].exit_code : 70;
}
