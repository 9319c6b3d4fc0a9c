/* The table-driven decoder from a JSON object to a struct: it reports every fault rather than the first, in words for the one who
 * sent it, and touches the struct only where a member is there and right. */
#include <rw/json.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void rw_field_errors_add(struct rw_field_errors *errors, const char *field, const char *fmt, ...)
{
    if (errors->count >= RW_FIELD_ERRORS_MAX) {
        return;
    }
    struct rw_field_error *item = &errors->items[errors->count++];
    (void)snprintf(item->field, sizeof(item->field), "%.*s", (int)sizeof(item->field) - 1, field);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(item->message, sizeof(item->message), fmt, args);
    va_end(args);
}

static void add_error(struct rw_field_errors *errors, const char *prefix, const char *name, const char *message)
{
    char field[sizeof(errors->items[0].field)];
    (void)snprintf(field, sizeof(field), "%.60s%.60s", prefix, name);
    rw_field_errors_add(errors, field, "%s", message);
}

/* By enum rw_json_type. "whole number" also refuses 1.5; a range is told in words where one bound is enough. */
static const struct {
    const char *name;
    const char *unit;
} types[] = {
    [RW_JSON_STRING] = {"a string", " bytes"},    [RW_JSON_INT] = {"a whole number", ""},
    [RW_JSON_BOOL] = {"true or false", ""},       [RW_JSON_ARRAY] = {"an array", " elements"},
    [RW_JSON_OBJECT] = {"an object", " members"},
};

static bool is_of_type(const cJSON *item, enum rw_json_type type)
{
    switch (type) {
    case RW_JSON_STRING:
        return cJSON_IsString(item);
    case RW_JSON_INT:
        return cJSON_IsNumber(item) && floor(item->valuedouble) == item->valuedouble;
    case RW_JSON_BOOL:
        return cJSON_IsBool(item);
    case RW_JSON_ARRAY:
        return cJSON_IsArray(item);
    case RW_JSON_OBJECT:
        return cJSON_IsObject(item);
    }
    return false;
}

/* What min and max speak of. */
static double measure(const cJSON *item, enum rw_json_type type)
{
    switch (type) {
    case RW_JSON_STRING:
        return (double)strlen(item->valuestring);
    case RW_JSON_INT:
        return item->valuedouble;
    case RW_JSON_ARRAY:
    case RW_JSON_OBJECT:
        return cJSON_GetArraySize(item);
    case RW_JSON_BOOL:
        break;
    }
    return 0;
}

static void store(const cJSON *item, const struct rw_json_field *field, char *base)
{
    void *member = base + field->offset;
    switch (field->type) {
    case RW_JSON_STRING:
        *(const char **)member = item->valuestring;
        break;
    case RW_JSON_INT:
        *(int64_t *)member = (int64_t)item->valuedouble;
        break;
    case RW_JSON_BOOL:
        *(bool *)member = cJSON_IsTrue(item);
        break;
    case RW_JSON_ARRAY:
    case RW_JSON_OBJECT:
        *(const cJSON **)member = item;
        break;
    }
    if (field->offset_present != SIZE_MAX) {
        *(bool *)(base + field->offset_present) = true;
    }
}

static void decode_member(const cJSON *item, const char *prefix, const struct rw_json_field *field, void *ret_struct,
                          struct rw_field_errors *errors)
{
    char message[sizeof(errors->items[0].message)];
    if (!is_of_type(item, field->type)) {
        (void)snprintf(message, sizeof(message), "must be %s", types[field->type].name);
        add_error(errors, prefix, field->name, message);
        return;
    }
    double size = measure(item, field->type);
    if (field->type != RW_JSON_BOOL && (size < field->min || size > field->max)) {
        (void)snprintf(message, sizeof(message), "must be %s%s%.0f to %.0f%s", types[field->type].name,
                       field->type == RW_JSON_INT ? " from " : " of ", field->min, field->max, types[field->type].unit);
        add_error(errors, prefix, field->name, message);
        return;
    }
    store(item, field, ret_struct);
}

static const struct rw_json_field *find_field(const char *name, const struct rw_json_field *fields, size_t n_fields)
{
    for (size_t i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

void rw_json_decode(const cJSON *object, const char *prefix, const struct rw_json_field *fields, size_t n_fields, void *ret_struct,
                    struct rw_field_errors *errors)
{
    if (!cJSON_IsObject(object)) {
        char field[sizeof(errors->items[0].field)];
        (void)snprintf(field, sizeof(field), "%.*s", (int)(strlen(prefix) - (prefix[0] != 0)), prefix); /* without its dot */
        rw_field_errors_add(errors, field, "must be an object");
        return;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const struct rw_json_field *field = find_field(item->string, fields, n_fields);
        if (!field) {
            add_error(errors, prefix, item->string, "is not known");
        } else if (!cJSON_IsNull(item)) {
            decode_member(item, prefix, field, ret_struct, errors);
        }
    }
    for (size_t i = 0; i < n_fields; i++) {
        item = fields[i].is_required ? cJSON_GetObjectItemCaseSensitive(object, fields[i].name) : object;
        if (!item || cJSON_IsNull(item)) {
            add_error(errors, prefix, fields[i].name, "is required");
        }
    }
}
