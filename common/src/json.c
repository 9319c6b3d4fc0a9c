/* Strict JSON over cJSON: parsing after the walk of json_scan.c, and writing of what cJSON cannot carry (NUL, 64-bit integers,
 * bytes that are no text) as raw nodes. */
#include <rw/json.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rw/encoding.h>

#include "json_scan.h"
#include "utf8.h"

enum { FEW_KEYS = 16 }; /* up to here the keys are sorted on the stack */

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* A key that an object holds twice, compared as unescaped; NULL when there is none. */
static const char *find_double_key(const cJSON *object)
{
    size_t count = 0;
    const cJSON *child;
    cJSON_ArrayForEach(child, object)
    {
        count++;
    }
    const char *few[FEW_KEYS];
    RW_AUTO_FREE const char **many = count > FEW_KEYS ? rw_xcalloc(count, sizeof(*many)) : NULL;
    const char **keys = many ? many : few;
    size_t i = 0;
    cJSON_ArrayForEach(child, object)
    {
        keys[i++] = child->string;
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (i = 1; i < count; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            return keys[i];
        }
    }
    return NULL;
}

/* Recursion is bounded by the depth that the walk permitted. */
static int check_keys(const cJSON *json, struct rw_error *err)
{
    const char *twice = cJSON_IsObject(json) ? find_double_key(json) : NULL;
    if (twice) {
        return rw_fail(err, INVALID, "JSON: key \"%.100s\" stands twice in one object", twice);
    }
    const cJSON *child;
    cJSON_ArrayForEach(child, json)
    {
        if (child->child && check_keys(child, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int rw_json_parse(struct rw_bytes text, const struct rw_json_limits *limits, cJSON **ret_json, struct rw_error *err)
{
    if (rw_json_scan(text, limits, err) < 0) {
        return -1;
    }
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_ParseWithLength((const char *)text.data, text.len);
    if (!json) {
        return rw_fail(err, INTERNAL, "cJSON refused what was checked");
    }
    if (check_keys(json, err) < 0) {
        return -1;
    }
    *ret_json = rw_take(json);
    return 0;
}

char *rw_json_print(const cJSON *json, size_t *ret_len)
{
    char *text = cJSON_PrintUnformatted(json);
    if (!text) {
        abort(); /* no memory: there is no other reason */
    }
    if (ret_len) {
        *ret_len = strlen(text);
    }
    return text;
}

/* cJSON copies what it is given; without memory it gives NULL, and so does adding. */
static void add(cJSON *object, const char *key, cJSON *value)
{
    if (!value || !cJSON_AddItemToObject(object, key, value)) {
        abort();
    }
}

/* Write one byte or character escaped; returns the bytes of text that were used. */
static size_t escape(const uint8_t *text, size_t len, char *out, size_t *ret_out_len)
{
    static const char short_escapes[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    uint8_t c = text[0];
    if (c < sizeof(short_escapes) && short_escapes[c]) {
        out[0] = '\\';
        out[1] = short_escapes[c];
        *ret_out_len = 2;
        return 1;
    }
    if (c < 0x20 || c == 0x7F) {
        *ret_out_len = (size_t)snprintf(out, 8, "\\u%04x", c);
        return 1;
    }
    size_t step = rw_utf8_step(text, len);
    if (step == 0) {
        memcpy(out, "\xEF\xBF\xBD", 3); /* U+FFFD */
        *ret_out_len = 3;
        return 1;
    }
    memcpy(out, text, step);
    *ret_out_len = step;
    return step;
}

void rw_json_add_text(cJSON *object, const char *key, struct rw_bytes text)
{
    /* A byte becomes six at most ("\u0000"). */
    RW_AUTO_FREE char *raw = rw_xmalloc(text.len * 6 + 3);
    size_t len = 0;
    raw[len++] = '"';
    for (size_t place = 0; place < text.len;) {
        size_t out_len;
        char out[8];
        place += escape(text.data + place, text.len - place, out, &out_len);
        memcpy(raw + len, out, out_len);
        len += out_len;
    }
    raw[len++] = '"';
    raw[len] = '\0';
    add(object, key, cJSON_CreateRaw(raw));
}

void rw_json_add_bytes(cJSON *object, const char *key, struct rw_bytes bytes)
{
    if (rw_utf8_is_valid(bytes)) {
        rw_json_add_text(object, key, bytes);
        return;
    }
    RW_AUTO_FREE char *encoded = rw_base64_encode(bytes);
    RW_AUTO_FREE char *encoding_key = rw_xasprintf("%s_encoding", key);
    add(object, key, cJSON_CreateString(encoded));
    add(object, encoding_key, cJSON_CreateString("base64"));
}

void rw_json_add_int(cJSON *object, const char *key, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    add(object, key, cJSON_CreateRaw(text));
}

void rw_json_add_string(cJSON *object, const char *key, const char *text)
{
    if (!text) {
        add(object, key, cJSON_CreateNull());
    } else {
        rw_json_add_text(object, key, rw_bytes_of(text, strlen(text)));
    }
}

static const cJSON *follow(const cJSON *object, va_list keys)
{
    const char *key;
    while (object && (key = va_arg(keys, const char *))) {
        object = cJSON_GetObjectItemCaseSensitive(object, key);
    }
    return object;
}

const cJSON *rw_json_at(const cJSON *object, ...)
{
    va_list keys;
    va_start(keys, object);
    const cJSON *found = follow(object, keys);
    va_end(keys);
    return found;
}

const char *rw_json_string(const cJSON *object, ...)
{
    va_list keys;
    va_start(keys, object);
    const cJSON *found = follow(object, keys);
    va_end(keys);
    return cJSON_IsString(found) ? found->valuestring : NULL;
}
