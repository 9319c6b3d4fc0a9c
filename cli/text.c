/* A program may print NUL bytes; they are valid UTF-8 and come as \u0000 inside the JSON string. cJSON's strings end at a NUL, so
 * the strict parser refuses that escape. Before parsing, each such character is therefore replaced with a guard character and '0',
 * and each guard character that was there already with itself and '1'; the reverse is done when a string's bytes are written out.
 * In JSON a backslash stands only inside strings and always begins an escape, so no more of JSON needs to be understood here. */
#include "text.h"

#include <string.h>
#include <strings.h>

#define GUARD           "\xee\x80\x80" /* U+E000, the first private use character */
#define GUARDED_NUL     GUARD "0"
#define GUARDED_GUARD   GUARD "1"
#define ESCAPE_OF_NUL   "\\u0000"
#define ESCAPE_OF_GUARD "\\ue000"

enum { GUARD_BYTES = sizeof(GUARD) - 1, ESCAPE_BYTES = sizeof(ESCAPE_OF_NUL) - 1 };

static bool is_escape(struct rw_bytes json, size_t at, const char *escape)
{
    const char *text = (const char *)json.data + at;
    return json.len - at >= ESCAPE_BYTES && text[1] == 'u' && strncasecmp(text, escape, ESCAPE_BYTES) == 0;
}

/* The length of the piece of text at `at`, and what stands for it: NULL when it stands for itself. */
static size_t next_piece(struct rw_bytes json, size_t at, const char **ret_replacement)
{
    *ret_replacement = NULL;
    size_t left = json.len - at;
    if (json.data[at] == '\\') {
        if (is_escape(json, at, ESCAPE_OF_NUL)) {
            *ret_replacement = GUARDED_NUL;
            return ESCAPE_BYTES;
        }
        if (is_escape(json, at, ESCAPE_OF_GUARD)) {
            *ret_replacement = GUARDED_GUARD;
            return ESCAPE_BYTES;
        }
        return left < 2 ? left : 2;
    }
    if (left >= GUARD_BYTES && memcmp(json.data + at, GUARD, GUARD_BYTES) == 0) {
        *ret_replacement = GUARDED_GUARD;
        return GUARD_BYTES;
    }
    return 1;
}

int text_guard(struct rw_bytes json, struct rw_buffer *out, struct rw_error *err)
{
    size_t copied = 0; /* everything before it is in *out */
    for (size_t at = 0; at < json.len;) {
        const char *replacement = NULL;
        size_t len = next_piece(json, at, &replacement);
        if (replacement) {
            if (rw_buffer_append(out, json.data + copied, at - copied, err) < 0 ||
                rw_buffer_append(out, replacement, strlen(replacement), err) < 0) {
                return -1;
            }
            copied = at + len;
        }
        at += len;
    }
    return copied == json.len ? 0 : rw_buffer_append(out, json.data + copied, json.len - copied, err);
}

int text_restore(const char *text, struct rw_buffer *out, struct rw_error *err)
{
    for (;;) {
        const char *guard = strstr(text, GUARD);
        size_t plain = guard ? (size_t)(guard - text) : strlen(text);
        if (rw_buffer_append(out, text, plain, err) < 0) {
            return -1;
        }
        if (!guard) {
            return 0;
        }
        bool is_nul = guard[GUARD_BYTES] == '0';
        if (rw_buffer_append(out, is_nul ? "\0" : GUARD, is_nul ? 1 : GUARD_BYTES, err) < 0) {
            return -1;
        }
        text = guard + GUARD_BYTES + (guard[GUARD_BYTES] != '\0');
    }
}

const char *text_member(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}
