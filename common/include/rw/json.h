/* Strict JSON over cJSON: what a stranger sends is bounded and checked before memory is taken.
 *
 * rw_json_parse refuses (INVALID, with the byte offset): nesting or a count of values past the limits, invalid UTF-8, a NUL byte or
 * \u0000, lone surrogates, trailing bytes, duplicate keys (case-sensitive), numbers that are not finite or integers past 2^53.
 * No daemon calls cJSON_Parse itself. Look-ups are case-sensitive. */
#ifndef RW_JSON_H
#define RW_JSON_H

#include <cjson/cJSON.h>

#include <rw/auto.h>
#include <rw/bytes.h>

struct rw_json_limits {
    size_t bytes_max;
    size_t depth_max;
    size_t values_max; /* scalars, arrays, objects and keys together */
    bool is_inexact;   /* integers past 2^53 are taken, as the nearest double: for peers that send such (clocks in nanoseconds) */
};

RW_DEFINE_AUTO(cJSON *, cJSON_Delete);

RW_NODISCARD int rw_json_parse(struct rw_bytes text, const struct rw_json_limits *limits, cJSON **ret_json, struct rw_error *err);
/* Compact text, owned by the caller, NUL-terminated. */
char *rw_json_print(const cJSON *json, size_t *ret_len);
/* Add a string that may hold any valid UTF-8 including NUL, which cJSON cannot carry: the bytes must be valid UTF-8. */
void rw_json_add_text(cJSON *object, const char *key, struct rw_bytes text);
/* Add bytes as text when they are valid UTF-8, else as base64 with "<key>_encoding": "base64" beside it. */
void rw_json_add_bytes(cJSON *object, const char *key, struct rw_bytes bytes);
void rw_json_add_int(cJSON *object, const char *key, int64_t value);       /* exact for the whole range */
void rw_json_add_string(cJSON *object, const char *key, const char *text); /* NULL becomes null */

/* What is at a path of keys such as "metadata", "name", which ends with NULL: borrowed; NULL when it is not there, and for the string
 * when it is none. */
const cJSON *rw_json_at(const cJSON *object, ...) __attribute__((sentinel));
const char *rw_json_string(const cJSON *object, ...) __attribute__((sentinel));

/* One field at fault, for a problem document. */
struct rw_field_error {
    char field[128];   /* "files[2].name" */
    char message[160]; /* "must be at most 255 bytes" */
};

enum { RW_FIELD_ERRORS_MAX = 16 };

struct rw_field_errors {
    size_t count;
    struct rw_field_error items[RW_FIELD_ERRORS_MAX]; /* further ones are counted off silently */
};

void rw_field_errors_add(struct rw_field_errors *errors, const char *field, const char *fmt, ...) RW_PRINTF(3, 4);

/* Table-driven object decoder: checks type, range and length of each member, reports every fault, refuses unknown members. */
enum rw_json_type { RW_JSON_STRING, RW_JSON_INT, RW_JSON_BOOL, RW_JSON_ARRAY, RW_JSON_OBJECT };

struct rw_json_field {
    const char *name;
    enum rw_json_type type;
    bool is_required;
    double min; /* INT: value; STRING: bytes; ARRAY and OBJECT: members */
    double max;
    size_t offset;         /* STRING: const char *, INT: int64_t, BOOL: bool, ARRAY and OBJECT: const cJSON *; all borrowed */
    size_t offset_present; /* of a bool set to true when the member is there; SIZE_MAX for none */
};

/* prefix: "" or "limits." for the names in errors. Members that are null count as absent. Does not touch absent members. */
void rw_json_decode(const cJSON *object, const char *prefix, const struct rw_json_field *fields, size_t n_fields, void *ret_struct,
                    struct rw_field_errors *errors);

#endif
