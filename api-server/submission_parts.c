/* The parts of a submission: files, entry, stdin, argument lists, environment, compile options, limits. */
#include "submission_internal.h"

#include <stdio.h>
#include <string.h>

#include <rw/encoding.h>

enum { FIELD_BYTES = 96 };

static const char *const encodings[] = {"utf8", "base64"};
enum encoding { ENCODING_UTF8, ENCODING_BASE64, _ENCODING_MAX };

static int add_fault(struct rw_field_errors *errors, const char *field, const char *message)
{
    rw_field_errors_add(errors, field, "%s", message);
    return -1;
}

static bool has_fault(const struct rw_field_errors *errors, const char *field)
{
    for (size_t i = 0; i < errors->count; i++) {
        if (strcmp(errors->items[i].field, field) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- bytes that came as text ---- */

static int parse_encoding(const char *text, const char *field, enum encoding *ret_encoding, struct rw_field_errors *errors)
{
    for (unsigned i = 0; i < _ENCODING_MAX; i++) {
        if (!text || strcmp(text, encodings[i]) == 0) {
            *ret_encoding = (enum encoding)i;
            return 0;
        }
    }
    return add_fault(errors, field, "must be \"utf8\" or \"base64\"");
}

static int decode_content(const char *text, enum encoding encoding, const char *field, uint8_t **ret_data, size_t *ret_len,
                          struct rw_field_errors *errors)
{
    size_t len = strlen(text);
    if (encoding == ENCODING_BASE64) {
        if (rw_base64_decode(text, len, ret_data, ret_len, NULL)) {
            return add_fault(errors, field, "is not base64 (RFC 4648, with padding, without line breaks)");
        }
        return 0;
    }
    *ret_data = rw_xmemdup(text, len + 1); /* the NUL only so that there is memory when the text is empty */
    *ret_len = len;
    return 0;
}

void parts_stdin(const struct request *request, struct rw_job *job, struct rw_field_errors *errors)
{
    enum encoding encoding = ENCODING_UTF8;
    if (parse_encoding(request->stdin_encoding, "stdin_encoding", &encoding, errors) == 0) {
        const char *text = request->stdin_text ? request->stdin_text : "";
        (void)decode_content(text, encoding, "stdin", &job->stdin_data, &job->stdin_len, errors);
    }
}

/* ---- files ---- */

struct file {
    const char *name;
    const char *content;
    const char *encoding;
};

static const struct rw_json_field file_members[] = {
    {"name", RW_JSON_STRING, true, 1, RW_JOB_FILE_NAME_BYTES_MAX, offsetof(struct file, name), SIZE_MAX},
    {"content", RW_JSON_STRING, true, 0, RW_JOB_BYTES_MAX, offsetof(struct file, content), SIZE_MAX},
    {"encoding", RW_JSON_STRING, false, 1, 8, offsetof(struct file, encoding), SIZE_MAX},
};

/* Whether one name is the other, or a folder that the other lies in. */
static bool names_collide(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    size_t shared = a_len < b_len ? a_len : b_len;
    if (memcmp(a, b, shared) != 0) {
        return false;
    }
    return a_len == b_len || (a_len > b_len ? a[shared] : b[shared]) == '/';
}

static int check_name(const struct rw_job *job, const char *name, const char *field, struct rw_field_errors *errors)
{
    struct rw_error err = {0};
    if (rw_job_file_name_check(name, strlen(name), &err)) {
        return add_fault(errors, field, err.message);
    }
    if (name[0] == '-' || name[0] == '@') { /* names stand on command lines, where these begin an option or a list of options */
        return add_fault(errors, field, "must not begin with '-' or '@'");
    }
    for (size_t i = 0; i < job->n_files; i++) {
        if (names_collide(job->files[i].name, name)) {
            rw_field_errors_add(errors, field, "is taken, or a folder of another file's name: files[%zu]", i);
            return -1;
        }
    }
    return 0;
}

/* A file that is at fault is left out, so that the others are still checked. */
static void add_file(const cJSON *item, size_t index, struct rw_job *job, struct rw_field_errors *errors)
{
    char prefix[FIELD_BYTES];
    char name_field[FIELD_BYTES + 16];
    char content_field[FIELD_BYTES + 16];
    char encoding_field[FIELD_BYTES + 16];
    struct file file = {0};
    enum encoding encoding = ENCODING_UTF8;

    (void)snprintf(prefix, sizeof(prefix), "files[%zu]", index);
    if (!cJSON_IsObject(item)) {
        (void)add_fault(errors, prefix, "must be an object");
        return;
    }
    (void)snprintf(prefix, sizeof(prefix), "files[%zu].", index);
    (void)snprintf(name_field, sizeof(name_field), "%sname", prefix);
    (void)snprintf(content_field, sizeof(content_field), "%scontent", prefix);
    (void)snprintf(encoding_field, sizeof(encoding_field), "%sencoding", prefix);
    rw_json_decode(item, prefix, file_members, RW_ARRAY_SIZE(file_members), &file, errors);
    if (!file.name || !file.content || check_name(job, file.name, name_field, errors) ||
        parse_encoding(file.encoding, encoding_field, &encoding, errors)) {
        return;
    }
    struct rw_job_file *added = &job->files[job->n_files];
    if (decode_content(file.content, encoding, content_field, &added->content, &added->content_len, errors) == 0) {
        added->name = rw_xstrdup(file.name);
        job->n_files++;
    }
}

void parts_files(const struct rw_language *language, const struct request *request, struct rw_job *job,
                 struct rw_field_errors *errors)
{
    if (has_fault(errors, "source") || has_fault(errors, "files")) {
        return; /* given, but not as it must be */
    }
    if (!request->source == !request->files) {
        (void)add_fault(errors, "source", "exactly one of source and files must be given");
        return;
    }
    if (request->source) {
        job->files = rw_xcalloc(1, sizeof(*job->files));
        job->files[0].name = rw_xstrdup(language->source_file);
        job->n_files = 1;
        (void)decode_content(request->source, ENCODING_UTF8, "source", &job->files[0].content, &job->files[0].content_len, errors);
        return;
    }
    job->files = rw_xcalloc((size_t)cJSON_GetArraySize(request->files) + 1, sizeof(*job->files));
    size_t index = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, request->files)
    {
        add_file(item, index++, job, errors);
    }
}

static const char *find_file(const struct rw_job *job, const char *name)
{
    for (size_t i = 0; i < job->n_files; i++) {
        if (strcmp(job->files[i].name, name) == 0) {
            return job->files[i].name;
        }
    }
    return NULL;
}

const char *parts_entry(const struct rw_language *language, const struct request *request, const struct rw_job *job,
                        struct rw_field_errors *errors)
{
    if (job->n_files == 0) {
        return ""; /* reported already */
    }
    const char *found = find_file(job, request->entry ? request->entry : language->source_file);
    if (!found && request->entry) {
        (void)add_fault(errors, "entry", "is not among the files");
    }
    return found ? found : job->files[0].name;
}

/* ---- lists of texts ---- */

void parts_strings(const cJSON *array, const char *field, struct strings *ret_strings, struct rw_field_errors *errors)
{
    ret_strings->items = rw_xcalloc((size_t)(array ? cJSON_GetArraySize(array) : 0) + 1, sizeof(*ret_strings->items));
    size_t index = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, array)
    {
        char name[FIELD_BYTES];
        (void)snprintf(name, sizeof(name), "%s[%zu]", field, index++);
        if (!cJSON_IsString(item)) {
            (void)add_fault(errors, name, "must be a string");
        } else if (strlen(item->valuestring) > RW_JOB_ARG_BYTES_MAX) {
            rw_field_errors_add(errors, name, "must have at most %d bytes", RW_JOB_ARG_BYTES_MAX);
        } else {
            ret_strings->items[ret_strings->count++] = item->valuestring;
        }
    }
}

void parts_options(const struct rw_language *language, const struct rw_language_version *version, const struct request *request,
                   struct strings *ret_options, struct rw_field_errors *errors)
{
    static const struct rw_json_field compile_members[] = {{"options", RW_JSON_ARRAY, false, 0, RW_JOB_ARGS_MAX, 0, SIZE_MAX}};
    const cJSON *options = NULL;

    if (request->compile) {
        rw_json_decode(request->compile, "compile.", compile_members, RW_ARRAY_SIZE(compile_members), &options, errors);
    }
    parts_strings(options, "compile.options", ret_options, errors);
    if (ret_options->count > 0 && !version->compile_argv) {
        (void)add_fault(errors, "compile.options", "this language is not compiled");
        return;
    }
    size_t index = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, options)
    {
        char name[FIELD_BYTES];
        (void)snprintf(name, sizeof(name), "compile.options[%zu]", index++);
        if (cJSON_IsString(item) && !rw_language_option_is_permitted(language, item->valuestring)) {
            (void)add_fault(errors, name, "is not an option that this language permits");
        }
    }
}

/* ---- environment ---- */

static bool is_env_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char letters_and_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return name[0] && strchr(letters, name[0]) && strspn(name, letters_and_digits) == strlen(name);
}

static bool is_reserved(const struct rw_language *language, const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 0; i < language->n_environment; i++) {
        if (strncmp(language->environment[i], name, len) == 0 && language->environment[i][len] == '=') {
            return true;
        }
    }
    return false;
}

static const char *env_fault(const struct rw_language *language, const cJSON *item)
{
    if (!is_env_name(item->string)) {
        return "names must be made of letters, digits and '_', the first not a digit";
    }
    if (strncmp(item->string, "LD_", 3) == 0) { /* these change what the loader puts into the process */
        return "names that begin with LD_ are not permitted";
    }
    if (is_reserved(language, item->string)) {
        return "is set by the language";
    }
    if (!cJSON_IsString(item)) {
        return "must be a string";
    }
    return strlen(item->string) + 1 + strlen(item->valuestring) > RW_JOB_ARG_BYTES_MAX ? "is too long" : NULL;
}

void parts_env(const struct rw_language *language, const cJSON *env, struct rw_job_stage *stage, struct rw_field_errors *errors)
{
    size_t n_given = env ? (size_t)cJSON_GetArraySize(env) : 0;
    if (language->n_environment + n_given > RW_JOB_ARGS_MAX) {
        rw_field_errors_add(errors, "env", "must have at most %d members", RW_JOB_ARGS_MAX - (int)language->n_environment);
        return;
    }
    stage->env = rw_xcalloc(language->n_environment + n_given + 1, sizeof(*stage->env));
    for (unsigned i = 0; i < language->n_environment; i++) {
        stage->env[stage->n_env++] = rw_xstrdup(language->environment[i]);
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, env)
    {
        const char *fault = env_fault(language, item);
        if (fault) {
            char name[FIELD_BYTES] = "env"; /* a name of any bytes and length is not repeated */
            if (is_env_name(item->string)) {
                (void)snprintf(name, sizeof(name), "env.%.80s", item->string);
            }
            (void)add_fault(errors, name, fault);
        } else {
            stage->env[stage->n_env++] = rw_xasprintf("%s=%s", item->string, item->valuestring);
        }
    }
}

/* ---- limits ---- */

/* Those a request may set, by offset in struct rw_limits. */
#define LIMIT(field)                                                                                                               \
    {                                                                                                                              \
#field, RW_JSON_INT, false, 1, 9007199254740992.0, offsetof(struct rw_limits, field), SIZE_MAX                             \
    }

static const struct rw_json_field limit_members[] = {
    LIMIT(cpu_ms), LIMIT(wall_ms), LIMIT(memory_bytes), LIMIT(processes), LIMIT(output_bytes), LIMIT(file_bytes),
};

void parts_limits(const struct rw_language *language, const cJSON *limits, struct rw_limits *ret_limits,
                  struct rw_field_errors *errors)
{
    struct rw_json_field fields[RW_ARRAY_SIZE(limit_members)];

    *ret_limits = language->limits_default;
    if (!limits) {
        return;
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(limit_members); i++) {
        uint64_t max = 0;
        fields[i] = limit_members[i];
        memcpy(&max, (const char *)&language->limits_max + fields[i].offset, sizeof(max));
        fields[i].max = (double)max;
    }
    /* An int64_t of at least 1 and the uint64_t member it lands in have the same bytes. */
    _Static_assert(sizeof(int64_t) == sizeof(ret_limits->cpu_ms), "a limit is as wide as an integer of the decoder");
    rw_json_decode(limits, "limits.", fields, RW_ARRAY_SIZE(fields), ret_limits, errors);
}
