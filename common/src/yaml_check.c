/* Walks a YAML file's events along its schema. libcyaml reads "10s" as 10, "maybe" as true and 010 as 8, takes the first of several
 * documents, cuts a text at its NUL, and names the line before the one that holds an unknown key; a configuration deserves better.
 * Recursion is as deep as the schema, since nothing outside it is walked. */
#include "yaml_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include <rw/auto.h>

enum { FIELDS_MAX = 64 };

struct walk {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool has_event;
    const char *path;
    struct rw_error *err;
};

static void walk_donep(struct walk *walk)
{
    if (walk->has_event) {
        yaml_event_delete(&walk->event);
    }
    yaml_parser_delete(&walk->parser);
}

/* Always -1, which static analysers do not see through a variadic function. */
#define fail_here(walk, ...) ((void)fail_at((walk), (walk)->event.start_mark.line + 1, __VA_ARGS__), -1)

static int RW_PRINTF(3, 4) fail_at(struct walk *walk, size_t line, const char *fmt, ...)
{
    char message[RW_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    return rw_fail(walk->err, CONFIG, "%s:%zu: %s", walk->path, line, message);
}

static int next(struct walk *walk)
{
    if (walk->has_event) {
        yaml_event_delete(&walk->event);
        walk->has_event = false;
    }
    if (!yaml_parser_parse(&walk->parser, &walk->event)) {
        return fail_at(walk, walk->parser.problem_mark.line + 1, "%s", walk->parser.problem ? walk->parser.problem : "no YAML");
    }
    walk->has_event = true;
    if (walk->event.type == YAML_ALIAS_EVENT) {
        return fail_here(walk, "aliases are not used here");
    }
    return 0;
}

static bool is_number(const char *text, bool is_signed)
{
    if (is_signed && *text == '-') {
        text++;
    }
    bool has_leading_zero = text[0] == '0' && text[1];
    return *text && !has_leading_zero && text[strspn(text, "0123456789")] == '\0';
}

static int check_scalar(struct walk *walk, const cyaml_schema_value_t *schema)
{
    if (walk->event.type != YAML_SCALAR_EVENT) {
        return fail_here(walk, "a single value is expected");
    }
    const char *text = (const char *)walk->event.data.scalar.value;
    if (strlen(text) != walk->event.data.scalar.length) {
        return fail_here(walk, "a value holds NUL");
    }
    bool is_integer = schema->type == CYAML_INT || schema->type == CYAML_UINT;
    if (is_integer && !is_number(text, schema->type == CYAML_INT)) {
        return fail_here(walk, "\"%.64s\" is not a whole number", text);
    }
    if (schema->type == CYAML_BOOL && strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        return fail_here(walk, "\"%.64s\" is neither true nor false", text);
    }
    return 0;
}

static int check_value(struct walk *walk, const cyaml_schema_value_t *schema);

static int check_sequence(struct walk *walk, const cyaml_schema_value_t *schema)
{
    if (walk->event.type != YAML_SEQUENCE_START_EVENT) {
        return fail_here(walk, "a list is expected");
    }
    for (;;) {
        if (next(walk) < 0) {
            return -1;
        }
        if (walk->event.type == YAML_SEQUENCE_END_EVENT) {
            return 0;
        }
        if (check_value(walk, schema->sequence.entry) < 0) {
            return -1;
        }
    }
}

/* The schema of the key that the current event is. */
static int find_field(struct walk *walk, const cyaml_schema_field_t *fields, bool *seen, const cyaml_schema_field_t **ret_field)
{
    if (walk->event.type != YAML_SCALAR_EVENT) {
        return fail_here(walk, "a key is expected");
    }
    const char *key = (const char *)walk->event.data.scalar.value;
    for (size_t i = 0; i < FIELDS_MAX && fields[i].key; i++) {
        if (strcmp(fields[i].key, key) != 0 || strlen(key) != walk->event.data.scalar.length) {
            continue;
        }
        if (seen[i]) {
            return fail_here(walk, "key \"%.64s\" stands here a second time", key);
        }
        seen[i] = true;
        *ret_field = &fields[i];
        return 0;
    }
    return fail_here(walk, "unknown key \"%.64s\"", key);
}

static int check_mapping(struct walk *walk, const cyaml_schema_value_t *schema)
{
    if (walk->event.type != YAML_MAPPING_START_EVENT) {
        return fail_here(walk, "a map of keys is expected");
    }
    bool seen[FIELDS_MAX] = {false};
    for (;;) {
        if (next(walk) < 0) {
            return -1;
        }
        if (walk->event.type == YAML_MAPPING_END_EVENT) {
            return 0;
        }
        const cyaml_schema_field_t *field = NULL;
        if (find_field(walk, schema->mapping.fields, seen, &field) < 0 || next(walk) < 0 || check_value(walk, &field->value) < 0) {
            return -1;
        }
    }
}

static int check_value(struct walk *walk, const cyaml_schema_value_t *schema)
{
    if (schema->type == CYAML_MAPPING) {
        return check_mapping(walk, schema);
    }
    if (schema->type == CYAML_SEQUENCE || schema->type == CYAML_SEQUENCE_FIXED) {
        return check_sequence(walk, schema);
    }
    return check_scalar(walk, schema);
}

static int check_stream(struct walk *walk, const cyaml_schema_value_t *schema)
{
    if (next(walk) < 0) { /* the stream's start */
        return -1;
    }
    if (next(walk) < 0) { /* the document's */
        return -1;
    }
    if (walk->event.type != YAML_DOCUMENT_START_EVENT) {
        return fail_here(walk, "the file is empty");
    }
    if (next(walk) < 0 || check_value(walk, schema) < 0 || next(walk) < 0 || next(walk) < 0) {
        return -1;
    }
    return walk->event.type == YAML_STREAM_END_EVENT ? 0 : fail_here(walk, "a second document");
}

int rw_yaml_check(const char *path, struct rw_bytes text, const cyaml_schema_value_t *schema, struct rw_error *err)
{
    __attribute__((cleanup(walk_donep))) struct walk walk = {.path = path, .err = err};
    if (!yaml_parser_initialize(&walk.parser)) {
        return rw_fail(err, INTERNAL, "libyaml does not start");
    }
    yaml_parser_set_input_string(&walk.parser, text.data ? text.data : (const uint8_t *)"", text.len);
    return check_stream(&walk, schema);
}
