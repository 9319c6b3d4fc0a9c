/* The body of POST /submit. What the server checks (names of limits, options a language permits, bounds) is left to the server,
 * whose answer names each field at fault; here only what JSON could not carry is turned into base64, and memory is bounded. */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rw/encoding.h>

#include "source.h"

static bool has_extension(const char *file, const cJSON *extensions)
{
    size_t file_len = strlen(file);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, extensions)
    {
        const char *extension = cJSON_GetStringValue(item);
        size_t len = extension ? strlen(extension) : 0;
        if (len > 0 && file_len > len && strcmp(file + file_len - len, extension) == 0) {
            return true;
        }
    }
    return false;
}

int request_guess_language(const cJSON *languages, const char *file, const char **ret_language, struct rw_error *err)
{
    const char *found = NULL;
    const cJSON *language = NULL;
    cJSON_ArrayForEach(language, cJSON_GetObjectItemCaseSensitive(languages, "languages"))
    {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(language, "id"));
        if (!id || !has_extension(file, cJSON_GetObjectItemCaseSensitive(language, "source_extensions"))) {
            continue;
        }
        if (found) {
            return rw_fail(err, CONFLICT, "%s may be %s or %s: say which with --language", file, found, id);
        }
        found = id;
    }
    if (!found) {
        return rw_fail(err, NOT_FOUND, "no language of the server has the extension of %s: say which with --language", file);
    }
    *ret_language = found;
    return 0;
}

/* Put bytes under a key, as text where JSON can carry them, else as base64 with the encoding beside them. */
static void add_content(cJSON *object, const char *key, const char *encoding_key, const struct rw_buffer *content)
{
    struct rw_bytes bytes = rw_buffer_view(content);
    if (rw_utf8_is_text(bytes)) {
        rw_json_add_text(object, key, bytes);
        return;
    }
    RW_AUTO_FREE char *base64 = rw_base64_encode(bytes);
    cJSON_AddStringToObject(object, key, base64);
    cJSON_AddStringToObject(object, encoding_key, "base64");
}

static void add_texts(cJSON *object, const char *key, const struct cli_list *list)
{
    if (list->count == 0) {
        return;
    }
    cJSON *array = cJSON_AddArrayToObject(object, key);
    for (size_t i = 0; i < list->count; i++) {
        cJSON_AddItemToArray(array, cJSON_CreateString(list->items[i]));
    }
}

/* "NAME=VALUE": returns the value, borrowed from item; the name is owned by the caller. NULL with *err filled. */
static const char *split(const char *item, const char *option, char **ret_name, struct rw_error *err)
{
    const char *equals = strchr(item, '=');
    if (!equals || equals == item) {
        (void)rw_fail(err, INVALID, "--%s wants NAME=VALUE, not '%s'", option, item);
        return NULL;
    }
    *ret_name = rw_xstrndup(item, (size_t)(equals - item));
    return equals + 1;
}

static int add_environment(cJSON *body, const struct cli_list *env, struct rw_error *err)
{
    cJSON *object = env->count > 0 ? cJSON_AddObjectToObject(body, "env") : NULL;
    for (size_t i = 0; i < env->count; i++) {
        RW_AUTO_FREE char *name = NULL;
        const char *value = split(env->items[i], "env", &name, err);
        if (!value) {
            return -1;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(object, name); /* the last one of a name counts */
        cJSON_AddStringToObject(object, name, value);
    }
    return 0;
}

static int add_limits(cJSON *body, const struct cli_list *limits, struct rw_error *err)
{
    cJSON *object = limits->count > 0 ? cJSON_AddObjectToObject(body, "limits") : NULL;
    for (size_t i = 0; i < limits->count; i++) {
        RW_AUTO_FREE char *name = NULL;
        const char *value = split(limits->items[i], "limit", &name, err);
        if (!value) {
            return -1;
        }
        char *end = NULL;
        errno = 0;
        long long number = strtoll(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0') {
            return rw_fail(err, INVALID, "--limit %s wants a whole number, not '%s'", name, value);
        }
        cJSON_DeleteItemFromObjectCaseSensitive(object, name);
        rw_json_add_int(object, name, number);
    }
    return 0;
}

static int add_source(cJSON *body, struct rw_error *err)
{
    RW_AUTO_BUFFER struct rw_buffer content;
    rw_buffer_init(&content, RW_JOB_BYTES_MAX);
    if (source_read("-", &content, err) < 0) {
        return -1;
    }
    if (!rw_utf8_is_text(rw_buffer_view(&content))) {
        return rw_fail(err, INVALID, "the source on standard input is not UTF-8 text: submit it as a file");
    }
    rw_json_add_text(body, "source", rw_buffer_view(&content));
    return 0;
}

static int add_files(cJSON *body, const struct cli_list *paths, struct rw_error *err)
{
    cJSON *files = cJSON_AddArrayToObject(body, "files");
    size_t left = RW_JOB_BYTES_MAX;
    for (size_t i = 0; i < paths->count; i++) {
        RW_AUTO_BUFFER struct rw_buffer content;
        rw_buffer_init(&content, left);
        if (source_read(paths->items[i], &content, err) < 0) {
            return -1;
        }
        left -= content.len;
        cJSON *file = cJSON_CreateObject();
        cJSON_AddItemToArray(files, file);
        cJSON_AddStringToObject(file, "name", source_name(paths->items[0], paths->items[i]));
        add_content(file, "content", "encoding", &content);
    }
    cJSON_AddStringToObject(body, "entry", source_name(paths->items[0], paths->items[0]));
    return 0;
}

static int add_stdin(cJSON *body, const char *path, struct rw_error *err)
{
    RW_AUTO_BUFFER struct rw_buffer content;
    rw_buffer_init(&content, RW_JOB_BYTES_MAX);
    if (source_read(path, &content, err) < 0) {
        return -1;
    }
    add_content(body, "stdin", "stdin_encoding", &content);
    return 0;
}

int request_build(const struct cli_options *options, const char *language, cJSON **ret_body, struct rw_error *err)
{
    bool is_source = strcmp(options->operands.items[0], "-") == 0;
    if (is_source && (options->operands.count > 1 || (options->stdin_path && strcmp(options->stdin_path, "-") == 0))) {
        return rw_fail(err, INVALID, "standard input can be read only once, and a source on it is the only file");
    }
    RW_AUTO(cJSON_Delete) cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "language", language);
    if (options->version) {
        cJSON_AddStringToObject(body, "version", options->version);
    }
    if (options->isolation) {
        cJSON_AddStringToObject(body, "isolation", options->isolation);
    }
    if ((is_source ? add_source(body, err) : add_files(body, &options->operands, err)) < 0 ||
        (options->stdin_path && add_stdin(body, options->stdin_path, err) < 0) || add_environment(body, &options->env, err) < 0 ||
        add_limits(body, &options->limits, err) < 0) {
        return -1;
    }
    add_texts(body, "args", &options->args);
    if (options->compile_options.count > 0) {
        add_texts(cJSON_AddObjectToObject(body, "compile"), "options", &options->compile_options);
    }
    *ret_body = rw_take(body);
    return 0;
}
