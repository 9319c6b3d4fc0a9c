/* Checks a JSON text against the grammar and the limits without taking memory. cJSON takes 64 bytes a value before it knows
 * whether the text is good, ends strings at \u0000, lets control characters and broken UTF-8 pass, and makes 2^53 + 1 another
 * number; nothing of that gets past this walk. It is iterative: a bit a level says whether that level is an object. */
#include "json_scan.h"

#include <math.h>
#include <string.h>

#include <rw/encoding.h>

#include "hex.h"
#include "utf8.h"

enum {
    DEPTH_MAX = CJSON_NESTING_LIMIT, /* cJSON's own, whatever the caller permits */
    NUMBER_BYTES_MAX = 63,           /* cJSON reads no more of a number */
};

struct scan {
    const char *text;
    size_t len;
    size_t place;
    size_t n_values;
    size_t depth;
    const struct rw_json_limits *limits;
    struct rw_error *err;
    bool is_object[DEPTH_MAX + 1]; /* by depth */
};

#define fail_here(scan, what) rw_fail((scan)->err, INVALID, "JSON: %s at byte %zu", (what), (scan)->place)

/* The character at the scan's place, 0 at the end: the text holds no NUL. */
static char peek(const struct scan *scan)
{
    return scan->place < scan->len ? scan->text[scan->place] : '\0';
}

static void skip_space(struct scan *scan)
{
    while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\n' || peek(scan) == '\r') {
        scan->place++;
    }
}

static int count_value(struct scan *scan)
{
    return ++scan->n_values > scan->limits->values_max ? fail_here(scan, "too many values") : 0;
}

/* Four hexadecimal digits. */
static int scan_code_unit(struct scan *scan, unsigned *ret_unit)
{
    unsigned unit = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = rw_hex_value(peek(scan));
        if (digit < 0) {
            return fail_here(scan, "four hexadecimal digits expected");
        }
        unit = unit << 4 | (unsigned)digit;
        scan->place++;
    }
    *ret_unit = unit;
    return 0;
}

/* What follows "\u". */
static int scan_unicode_escape(struct scan *scan)
{
    unsigned unit;
    if (scan_code_unit(scan, &unit) < 0) {
        return -1;
    }
    if (unit == 0) {
        return fail_here(scan, "\\u0000 is not permitted");
    }
    if (unit < 0xD800 || unit > 0xDFFF) {
        return 0;
    }
    if (unit > 0xDBFF || scan->len - scan->place < 2 || memcmp(scan->text + scan->place, "\\u", 2) != 0) {
        return fail_here(scan, "lone surrogate");
    }
    scan->place += 2;
    if (scan_code_unit(scan, &unit) < 0) {
        return -1;
    }
    return unit >= 0xDC00 && unit <= 0xDFFF ? 0 : fail_here(scan, "lone surrogate");
}

static int scan_string(struct scan *scan)
{
    scan->place++; /* the opening quote */
    for (;;) {
        unsigned char c = (unsigned char)peek(scan);
        if (c < 0x20) {
            return fail_here(scan, scan->place < scan->len ? "control character in a string" : "string without end");
        }
        scan->place++;
        if (c == '"') {
            return 0;
        }
        if (c != '\\') {
            continue;
        }
        char escaped = peek(scan);
        if (!escaped || !strchr("\"\\/bfnrtu", escaped)) {
            return fail_here(scan, "unknown escape");
        }
        scan->place++;
        if (escaped == 'u' && scan_unicode_escape(scan) < 0) {
            return -1;
        }
    }
}

static size_t skip_digits(struct scan *scan)
{
    size_t start = scan->place;
    while (peek(scan) >= '0' && peek(scan) <= '9') {
        scan->place++;
    }
    return scan->place - start;
}

/* The number's grammar; *ret_is_integer tells whether it has neither fraction nor exponent. */
static int scan_number_text(struct scan *scan, bool *ret_is_integer)
{
    bool is_integer = true;
    scan->place += peek(scan) == '-';
    bool has_leading_zero = peek(scan) == '0';
    size_t digits = skip_digits(scan);
    if (digits == 0 || (has_leading_zero && digits > 1)) {
        return fail_here(scan, "not a number");
    }
    if (peek(scan) == '.') {
        is_integer = false;
        scan->place++;
        if (skip_digits(scan) == 0) {
            return fail_here(scan, "not a number");
        }
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        is_integer = false;
        scan->place++;
        scan->place += peek(scan) == '+' || peek(scan) == '-';
        if (skip_digits(scan) == 0) {
            return fail_here(scan, "not a number");
        }
    }
    *ret_is_integer = is_integer;
    return 0;
}

static int scan_number(struct scan *scan)
{
    size_t start = scan->place;
    bool is_integer;
    if (scan_number_text(scan, &is_integer) < 0) {
        return -1;
    }
    char text[NUMBER_BYTES_MAX + 1];
    size_t len = scan->place - start;
    if (len > NUMBER_BYTES_MAX) {
        return fail_here(scan, "number too long");
    }
    memcpy(text, scan->text + start, len);
    text[len] = '\0';
    /* As an integer, which saturates: as a double, 2^53 + 1 is 2^53. */
    long long integer = is_integer ? strtoll(text, NULL, 10) : 0;
    if (!scan->limits->is_inexact && (integer > (1LL << 53) || integer < -(1LL << 53))) {
        return fail_here(scan, "integer past 2^53");
    }
    return isfinite(strtod(text, NULL)) ? 0 : fail_here(scan, "number out of range");
}

static int scan_word(struct scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(words); i++) {
        size_t len = strlen(words[i]);
        if (scan->len - scan->place >= len && memcmp(scan->text + scan->place, words[i], len) == 0) {
            scan->place += len;
            return 0;
        }
    }
    return fail_here(scan, "a value is expected");
}

/* A key and its colon. */
static int scan_key(struct scan *scan)
{
    skip_space(scan);
    if (peek(scan) != '"') {
        return fail_here(scan, "a key is expected");
    }
    if (count_value(scan) < 0 || scan_string(scan) < 0) {
        return -1;
    }
    skip_space(scan);
    if (peek(scan) != ':') {
        return fail_here(scan, "a colon is expected");
    }
    scan->place++;
    return 0;
}

/* Enter an array or object. Returns 1 when a value must follow, 0 when it was empty and is left again. */
static int scan_open(struct scan *scan)
{
    bool is_object = peek(scan) == '{';
    if (scan->depth >= scan->limits->depth_max || scan->depth >= DEPTH_MAX) {
        return fail_here(scan, "nested too deep");
    }
    scan->place++;
    scan->is_object[++scan->depth] = is_object;
    skip_space(scan);
    if (peek(scan) == (is_object ? '}' : ']')) {
        scan->place++;
        scan->depth--;
        return 0;
    }
    return is_object && scan_key(scan) < 0 ? -1 : 1;
}

/* One value, or the opening of one. Returns 1 when another value must follow at once, 0 when the value is complete. */
static int scan_value(struct scan *scan)
{
    skip_space(scan);
    if (count_value(scan) < 0) {
        return -1;
    }
    char c = peek(scan);
    if (c == '{' || c == '[') {
        return scan_open(scan);
    }
    if (c == '"') {
        return scan_string(scan);
    }
    return c == '-' || (c >= '0' && c <= '9') ? scan_number(scan) : scan_word(scan);
}

/* After a complete value: leave what it completes. Returns 1 when another value must follow, 0 when the document is complete. */
static int scan_after(struct scan *scan)
{
    while (scan->depth) {
        bool is_object = scan->is_object[scan->depth];
        skip_space(scan);
        if (peek(scan) == ',') {
            scan->place++;
            return is_object && scan_key(scan) < 0 ? -1 : 1;
        }
        if (peek(scan) != (is_object ? '}' : ']')) {
            return fail_here(scan, "a comma or the end is expected");
        }
        scan->place++;
        scan->depth--;
    }
    return 0;
}

/* How many bytes at the front are well-formed UTF-8 without NUL. */
static size_t text_len(struct rw_bytes text)
{
    size_t place = 0;
    for (size_t step = 1; step && place < text.len && text.data[place]; place += step) {
        step = rw_utf8_step(text.data + place, text.len - place);
    }
    return place;
}

int rw_json_scan(struct rw_bytes text, const struct rw_json_limits *limits, struct rw_error *err)
{
    if (text.len > limits->bytes_max) {
        return rw_fail(err, TOO_LARGE, "JSON: more than %zu bytes", limits->bytes_max);
    }
    if (text.len && !rw_utf8_is_text(text)) {
        return rw_fail(err, INVALID, "JSON: NUL or malformed UTF-8 at byte %zu", text_len(text));
    }
    struct scan scan = {.text = (const char *)text.data, .len = text.len, .limits = limits, .err = err};
    int outcome;
    do {
        outcome = scan_value(&scan);
        if (outcome == 0) {
            outcome = scan_after(&scan);
        }
    } while (outcome > 0);
    if (outcome < 0) {
        return -1;
    }
    skip_space(&scan);
    return scan.place == scan.len ? 0 : fail_here(&scan, "bytes after the document");
}
