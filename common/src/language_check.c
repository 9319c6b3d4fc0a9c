/* What must hold of a language.yaml beyond its schema, and its compile options as regular expressions. A fault found here is
 * told at start rather than by the first task. */
#include "language_internal.h"

#include <stdio.h>
#include <string.h>

static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char lower_digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

/* 1 to len_max characters: the first from first, the others from first or more. */
static bool is_made_of(const char *text, const char *first, const char *more, size_t len_max)
{
    size_t len = strnlen(text, len_max + 1);
    if (len == 0 || len > len_max || !strchr(first, text[0])) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (!strchr(first, text[i]) && !strchr(more, text[i])) {
            return false;
        }
    }
    return true;
}

static int check_names(const struct rw_language *language, const char *folder, struct rw_error *err)
{
    if (!is_made_of(language->id, lower, "0123456789+-", RW_LANGUAGE_ID_BYTES_MAX)) {
        return rw_fail(err, CONFIG, "id: \"%s\" does not match [a-z][a-z0-9+-]{0,31}", language->id);
    }
    if (strcmp(language->id, folder) != 0) {
        return rw_fail(err, CONFIG, "id: \"%s\" stands in the folder \"%s\"; the two must be the same", language->id, folder);
    }
    for (unsigned i = 0; i < language->n_aliases; i++) {
        if (!is_made_of(language->aliases[i], lower_digits, "+#.-", RW_LANGUAGE_ID_BYTES_MAX)) {
            return rw_fail(err, CONFIG, "aliases[%u]: \"%s\" does not match [a-z0-9][a-z0-9+#.-]{0,31}", i, language->aliases[i]);
        }
    }
    if (!is_made_of(language->sample, lower_digits, "_-", RW_JOB_FILE_NAME_BYTES_MAX)) {
        return rw_fail(err, CONFIG, "sample: \"%s\" does not match [a-z0-9][a-z0-9_-]*", language->sample);
    }
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static int check_source(const struct rw_language *language, struct rw_error *err)
{
    if (rw_job_file_name_check(language->source_file, strlen(language->source_file), err) < 0) {
        if (err) {
            err->code = RW_ERR_CONFIG;
        }
        return rw_error_wrap(err, "source_file");
    }
    bool is_source = false;
    for (unsigned i = 0; i < language->n_source_extensions; i++) {
        const char *extension = language->source_extensions[i];
        if (extension[0] != '.' || !extension[1] || strchr(extension, '/')) {
            return rw_fail(err, CONFIG, "source_extensions[%u]: \"%s\" must begin with a dot", i, extension);
        }
        is_source = is_source || ends_with(language->source_file, extension);
    }
    return is_source ? 0 : rw_fail(err, CONFIG, "source_file: \"%s\" has none of the source_extensions", language->source_file);
}

/* The braces of one argv element: "{sources}", "{options}" and "{args}" alone, the others anywhere. */
static int check_placeholders(const char *element, const char *what, struct rw_error *err)
{
    static const char *const alone[] = {"{sources}", "{options}", "{args}"};
    static const char *const anywhere[] = {"{entry}", "{entry_stem}", "{memory_bytes}"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(alone); i++) {
        if (strcmp(element, alone[i]) == 0) {
            return 0;
        }
    }
    for (const char *open = strchr(element, '{'); open; open = strchr(open + 1, '{')) {
        size_t len = 1 + strspn(open + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (open[len] != '}') {
            continue; /* braces of some other meaning */
        }
        bool is_known = false;
        for (size_t i = 0; i < RW_ARRAY_SIZE(anywhere); i++) {
            is_known = is_known || (strlen(anywhere[i]) == len + 1 && strncmp(open, anywhere[i], len + 1) == 0);
        }
        if (!is_known) {
            return rw_fail(err, CONFIG, "%s: \"%.*s\" is not known, or must be an element of its own", what, (int)len + 1, open);
        }
    }
    return 0;
}

static int check_argv(char *const *argv, unsigned n_argv, const char *what, struct rw_error *err)
{
    if (n_argv == 0 || argv[0][0] != '/') {
        return rw_fail(err, CONFIG, "%s: must begin with an absolute path", what);
    }
    for (unsigned i = 0; i < n_argv; i++) {
        if (check_placeholders(argv[i], what, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int check_warm(const struct rw_language_version *version, struct rw_error *err)
{
    const struct rw_language_warm *warm = version->warm;
    if (!warm->run) {
        return rw_fail(err, CONFIG, "warm: run must be true; leave warm out where nothing is started ahead");
    }
    if (!warm->compile_argv) {
        return warm->host ? rw_fail(err, CONFIG, "warm: host is for a compile, and there is none") : 0;
    }
    if (!version->compile_argv) {
        return rw_fail(err, CONFIG, "warm: compile: the version does not compile");
    }
    return check_argv(warm->compile_argv, warm->n_compile_argv, "warm: compile", err);
}

static int check_version(const struct rw_language_version *version, struct rw_error *err)
{
    if (!is_made_of(version->version, word, ".+-", RW_LANGUAGE_ID_BYTES_MAX)) {
        return rw_fail(err, CONFIG, "version: \"%s\" must be 1 to 32 letters, digits and \".+_-\"", version->version);
    }
    if (check_argv(version->probe, version->n_probe, "probe", err) < 0 ||
        check_argv(version->run_argv, version->n_run_argv, "run", err) < 0) {
        return -1;
    }
    if (version->compile_argv && check_argv(version->compile_argv, version->n_compile_argv, "compile", err) < 0) {
        return -1;
    }
    return version->warm ? check_warm(version, err) : 0;
}

static int check_versions(const struct rw_language *language, bool *ret_compiles, struct rw_error *err)
{
    unsigned n_defaults = 0;
    for (unsigned i = 0; i < language->n_versions; i++) {
        const struct rw_language_version *version = &language->versions[i];
        if (check_version(version, err) < 0) {
            return rw_error_wrap(err, "versions[%u]", i);
        }
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(language->versions[k].version, version->version) == 0) {
                return rw_fail(err, CONFIG, "versions[%u]: \"%s\" stands twice", i, version->version);
            }
        }
        n_defaults += version->is_default;
        *ret_compiles = *ret_compiles || version->compile_argv;
    }
    return n_defaults == 1 ? 0 : rw_fail(err, CONFIG, "versions: exactly one must have default: true");
}

static size_t key_len(const char *variable)
{
    return strcspn(variable, "=");
}

static int check_environment(const struct rw_language *language, struct rw_error *err)
{
    for (unsigned i = 0; i < language->n_environment; i++) {
        const char *variable = language->environment[i];
        size_t len = key_len(variable);
        if (variable[len] != '=' || len == 0 || strspn(variable, word) != len || (variable[0] >= '0' && variable[0] <= '9')) {
            return rw_fail(err, CONFIG, "environment[%u]: \"%.64s\" is not NAME=VALUE", i, variable);
        }
        for (unsigned k = 0; k < i; k++) {
            if (key_len(language->environment[k]) == len && strncmp(language->environment[k], variable, len) == 0) {
                return rw_fail(err, CONFIG, "environment[%u]: %.*s stands twice", i, (int)len, variable);
            }
        }
    }
    return 0;
}

static int check_limits(const struct rw_language *language, bool compiles, struct rw_error *err)
{
    static const uint64_t max = (uint64_t)1 << 53;
    const struct rw_limits *preset = &language->limits_default;
    const struct rw_limits *most = &language->limits_max;
#define RW_LIMIT(field)                                                                                                            \
    if (preset->field == 0 || most->field == 0 || most->field > max) {                                                             \
        return rw_fail(err, CONFIG, "limits: %s must be 1 to 2^53; 0 is not \"unlimited\"", #field);                               \
    }                                                                                                                              \
    if (preset->field > most->field) {                                                                                             \
        return rw_fail(err, CONFIG, "limits: default %s is above the maximum", #field);                                            \
    }                                                                                                                              \
    if (compiles && (language->compile_limits.field == 0 || language->compile_limits.field > max)) {                               \
        return rw_fail(err, CONFIG, "limits: compile %s must be 1 to 2^53, since a version compiles", #field);                     \
    }                                                                                                                              \
    if (!compiles && language->compile_limits.field != 0) {                                                                        \
        return rw_fail(err, CONFIG, "limits: compile: no version compiles");                                                       \
    }
    RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
    return 0;
}

int rw_language_check(const struct rw_language *language, const char *folder, struct rw_error *err)
{
    bool compiles = false;
    if (check_names(language, folder, err) < 0 || check_source(language, err) < 0 || check_versions(language, &compiles, err) < 0 ||
        check_environment(language, err) < 0 || check_limits(language, compiles, err) < 0) {
        return -1;
    }
    if (language->n_compile_options && !compiles) {
        return rw_fail(err, CONFIG, "compile_options: no version compiles");
    }
    if (language->pool.max == 0 || language->pool.warm > language->pool.max) {
        return rw_fail(err, CONFIG, "pool: max must be at least 1 and not below warm");
    }
    return 0;
}

/* Alone first: "a)(b" would only be refused alone, not between the anchors' parentheses. */
static int compile_option(const char *pattern, regex_t *regex, struct rw_error *err)
{
    int fault = regcomp(regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (fault == 0) {
        regfree(regex);
        RW_AUTO_FREE char *anchored = rw_xasprintf("^(%s)$", pattern);
        fault = regcomp(regex, anchored, REG_EXTENDED | REG_NOSUB);
    }
    if (fault) {
        char why[128];
        (void)regerror(fault, regex, why, sizeof(why));
        return rw_fail(err, CONFIG, "\"%.100s\": %s", pattern, why);
    }
    return 0;
}

int rw_language_options_compile(struct rw_language_entry *entry, struct rw_error *err)
{
    for (unsigned i = 0; i < entry->language.n_compile_options; i++) {
        if (compile_option(entry->language.compile_options[i], &entry->options[i], err) < 0) {
            return rw_error_wrap(err, "compile_options[%u]", i);
        }
        entry->n_options++;
    }
    return 0;
}

void rw_language_options_done(struct rw_language_entry *entry)
{
    while (entry->n_options) {
        regfree(&entry->options[--entry->n_options]);
    }
}
