/* The language catalogue: the schema of language.yaml, loading a folder of languages, and looking them up. Nothing in it changes
 * after loading. The checks beyond the schema are in language_check.c. */
#include <rw/language.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rw/config.h>

#include "language_internal.h"

enum {
    HOST_BYTES = 16384,
    NAME_BYTES = 64,
    ELEMENT_BYTES = 4096,
    ELEMENTS_MAX = 128,
    ALIASES_MAX = 16,
    VERSIONS_MAX = 16,
    EXTENSION_BYTES = 16
};

struct rw_catalogue {
    struct rw_language_entry *entries[RW_LANGUAGES_MAX]; /* owned, sorted by id */
    size_t count;
};

static const cyaml_schema_value_t name_value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, RW_LANGUAGE_ID_BYTES_MAX)};
static const cyaml_schema_value_t extension_value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 2, EXTENSION_BYTES)};
static const cyaml_schema_value_t element_value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, ELEMENT_BYTES)};

enum { GIVEN = CYAML_FLAG_POINTER, PERHAPS = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL };
#define STRING(key, flags, type, member, max) CYAML_FIELD_STRING_PTR(key, flags, type, member, 1, max)
#define LIST(key, flags, type, member, entry, min, max)                                                                            \
    CYAML_FIELD_SEQUENCE_COUNT(key, flags, type, member, n_##member, entry, min, max)

static const cyaml_schema_field_t warm_fields[] = {
    CYAML_FIELD_BOOL("run", CYAML_FLAG_DEFAULT, struct rw_language_warm, run),
    LIST("compile", PERHAPS, struct rw_language_warm, compile_argv, &element_value, 1, ELEMENTS_MAX),
    STRING("host", PERHAPS, struct rw_language_warm, host, HOST_BYTES),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t version_fields[] = {
    STRING("version", GIVEN, struct rw_language_version, version, RW_LANGUAGE_ID_BYTES_MAX),
    CYAML_FIELD_BOOL("default", CYAML_FLAG_OPTIONAL, struct rw_language_version, is_default),
    LIST("probe", GIVEN, struct rw_language_version, probe, &element_value, 1, ELEMENTS_MAX),
    LIST("compile", PERHAPS, struct rw_language_version, compile_argv, &element_value, 1, ELEMENTS_MAX),
    LIST("run", GIVEN, struct rw_language_version, run_argv, &element_value, 1, ELEMENTS_MAX),
    CYAML_FIELD_MAPPING_PTR("warm", PERHAPS, struct rw_language_version, warm, warm_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t version_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rw_language_version, version_fields)};

static const cyaml_schema_field_t limit_fields[] = {
#define RW_LIMIT(field) CYAML_FIELD_UINT(#field, CYAML_FLAG_DEFAULT, struct rw_limits, field),
    RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
        CYAML_FIELD_END,
};

/* `limits` is one level in the file and none in the struct: its fields count from the struct's begin. */
static const cyaml_schema_field_t limits_fields[] = {
    CYAML_FIELD_MAPPING("default", CYAML_FLAG_DEFAULT, struct rw_language, limits_default, limit_fields),
    CYAML_FIELD_MAPPING("maximum", CYAML_FLAG_DEFAULT, struct rw_language, limits_max, limit_fields),
    CYAML_FIELD_MAPPING("compile", CYAML_FLAG_OPTIONAL, struct rw_language, compile_limits, limit_fields),
    CYAML_FIELD_END,
};

struct pool_shape { /* of struct rw_language's unnamed pool */
    uint32_t warm;
    uint32_t max;
};
_Static_assert(sizeof(((struct rw_language *)0)->pool) == sizeof(struct pool_shape), "struct rw_language's pool has changed");
static const cyaml_schema_field_t pool_fields[] = {
    CYAML_FIELD_UINT("warm", CYAML_FLAG_DEFAULT, struct pool_shape, warm),
    CYAML_FIELD_UINT("max", CYAML_FLAG_DEFAULT, struct pool_shape, max),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t language_fields[] = {
    STRING("id", GIVEN, struct rw_language, id, RW_LANGUAGE_ID_BYTES_MAX),
    STRING("name", GIVEN, struct rw_language, name, NAME_BYTES),
    LIST("aliases", PERHAPS, struct rw_language, aliases, &name_value, 0, ALIASES_MAX),
    STRING("source_file", GIVEN, struct rw_language, source_file, RW_JOB_FILE_NAME_BYTES_MAX),
    LIST("source_extensions", GIVEN, struct rw_language, source_extensions, &extension_value, 1, ALIASES_MAX),
    LIST("versions", GIVEN, struct rw_language, versions, &version_value, 1, VERSIONS_MAX),
    LIST("environment", PERHAPS, struct rw_language, environment, &element_value, 0, ELEMENTS_MAX),
    LIST("compile_options", PERHAPS, struct rw_language, compile_options, &element_value, 0, RW_LANGUAGE_OPTIONS_MAX),
    {.key = "limits", .data_offset = 0, .value = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rw_language, limits_fields)}},
    CYAML_FIELD_MAPPING("pool", CYAML_FLAG_DEFAULT, struct rw_language, pool, pool_fields),
    STRING("sample", GIVEN, struct rw_language, sample, RW_JOB_FILE_NAME_BYTES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t language_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct rw_language_entry, language_fields)};

static void free_entry(struct rw_language_entry *entry)
{
    if (entry) {
        rw_language_options_done(entry);
        free(rw_take(entry->warm_plan));
        rw_config_free(&language_schema, entry);
    }
}
RW_DEFINE_AUTO(struct rw_language_entry *, free_entry);

void rw_catalogue_free(struct rw_catalogue *catalogue)
{
    if (catalogue) {
        for (size_t i = 0; i < catalogue->count; i++) {
            free_entry(catalogue->entries[i]);
        }
        free(catalogue);
    }
}

/* Whether any language goes by that name. */
static const struct rw_language *find_name(const struct rw_catalogue *catalogue, const char *name)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct rw_language *language = &catalogue->entries[i]->language;
        if (strcmp(language->id, name) == 0) {
            return language;
        }
        for (unsigned k = 0; k < language->n_aliases; k++) {
            if (strcmp(language->aliases[k], name) == 0) {
                return language;
            }
        }
    }
    return NULL;
}

static int check_name_is_free(const struct rw_catalogue *catalogue, const char *name, struct rw_error *err)
{
    const struct rw_language *other = find_name(catalogue, name);
    return other ? rw_fail(err, CONFIG, "\"%s\" is also a name of language %s", name, other->id) : 0;
}

static int check_names_are_free(const struct rw_catalogue *catalogue, const struct rw_language *language, struct rw_error *err)
{
    if (check_name_is_free(catalogue, language->id, err) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < language->n_aliases; i++) {
        bool is_own = strcmp(language->aliases[i], language->id) == 0;
        for (unsigned k = 0; k < i; k++) {
            is_own = is_own || strcmp(language->aliases[i], language->aliases[k]) == 0;
        }
        if (is_own) {
            return rw_fail(err, CONFIG, "aliases[%u]: \"%s\" stands twice", i, language->aliases[i]);
        }
        if (check_name_is_free(catalogue, language->aliases[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int add_language(struct rw_catalogue *catalogue, const char *path, const char *folder, struct rw_error *err)
{
    if (catalogue->count >= RW_LANGUAGES_MAX) {
        return rw_fail(err, CONFIG, "%s: more than %d languages", path, RW_LANGUAGES_MAX);
    }
    void *loaded = NULL;
    if (rw_config_load(path, &language_schema, &loaded, err) < 0) {
        return -1;
    }
    RW_AUTO(free_entry) struct rw_language_entry *entry = loaded;
    if (rw_language_check(&entry->language, folder, err) < 0 || rw_language_options_compile(entry, err) < 0 ||
        rw_language_plan(entry, err) < 0 || check_names_are_free(catalogue, &entry->language, err) < 0) {
        return rw_error_wrap(err, "%s", path);
    }
    catalogue->entries[catalogue->count++] = rw_take(entry);
    return 0;
}

static int compare_entries(const void *left, const void *right)
{
    const struct rw_language_entry *const *a = left;
    const struct rw_language_entry *const *b = right;
    return strcmp((*a)->language.id, (*b)->language.id);
}

static void close_dirp(DIR **dir)
{
    if (*dir) {
        (void)closedir(*dir);
    }
}

/* A folder that has a language.yaml is a language, and so is a file ID.language.yaml, as the keys of a ConfigMap are mounted; other
 * folders (the runner's own) and files are passed over. */
static int add_found(struct rw_catalogue *catalogue, const char *dir, const char *name, struct rw_error *err)
{
    static const char suffix[] = ".language.yaml";
    size_t name_len = strlen(name);
    size_t suffix_len = sizeof(suffix) - 1;
    bool is_file = name_len > suffix_len && strcmp(name + name_len - suffix_len, suffix) == 0;
    RW_AUTO_FREE char *id = rw_xasprintf("%.*s", (int)(is_file ? name_len - suffix_len : name_len), name);
    RW_AUTO_FREE char *path = rw_xasprintf("%s/%s%s", dir, name, is_file ? "" : "/language.yaml");
    return access(path, F_OK) == 0 ? add_language(catalogue, path, id, err) : 0;
}

static int add_all(struct rw_catalogue *catalogue, const char *dir, struct rw_error *err)
{
    __attribute__((cleanup(close_dirp))) DIR *found = opendir(dir);
    if (!found) {
        return rw_fail_sys(err, CONFIG, errno, "open folder %s", dir);
    }
    const struct dirent *entry;
    while ((entry = readdir(found))) {
        if (entry->d_name[0] != '.' && add_found(catalogue, dir, entry->d_name, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int rw_catalogue_load(const char *dir, struct rw_catalogue **ret_catalogue, struct rw_error *err)
{
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = rw_xcalloc(1, sizeof(*catalogue));
    if (add_all(catalogue, dir, err) < 0) {
        return -1;
    }
    if (catalogue->count == 0) {
        return rw_fail(err, CONFIG, "%s: no language has a folder with a language.yaml here", dir);
    }
    size_t entry_bytes = sizeof(catalogue->entries[0]); /* NOLINT(bugprone-sizeof-expression): pointers are sorted */
    qsort(catalogue->entries, catalogue->count, entry_bytes, compare_entries);
    *ret_catalogue = rw_take(catalogue);
    return 0;
}

size_t rw_catalogue_count(const struct rw_catalogue *catalogue)
{
    return catalogue->count;
}

const struct rw_language *rw_catalogue_at(const struct rw_catalogue *catalogue, size_t index)
{
    return index < catalogue->count ? &catalogue->entries[index]->language : NULL;
}

const struct rw_language *rw_catalogue_find(const struct rw_catalogue *catalogue, const char *id_or_alias)
{
    return find_name(catalogue, id_or_alias);
}

/* "3" is "3" and whatever begins with "3.". */
static bool version_matches(const char *version, const char *wanted)
{
    size_t len = strlen(wanted);
    return strncmp(version, wanted, len) == 0 && (version[len] == '\0' || version[len] == '.');
}

const struct rw_language_version *rw_language_version_find(const struct rw_language *language, const char *wanted)
{
    const struct rw_language_version *found = NULL;
    for (unsigned i = 0; i < language->n_versions; i++) {
        const struct rw_language_version *version = &language->versions[i];
        if (!wanted || !wanted[0]) {
            found = version->is_default ? version : found;
        } else if (version_matches(version->version, wanted) && (!found || strverscmp(version->version, found->version) > 0)) {
            found = version;
        }
    }
    return found;
}

bool rw_language_option_is_permitted(const struct rw_language *language, const char *option)
{
    const struct rw_language_entry *entry = (const struct rw_language_entry *)language;
    /* The bound keeps what a regular expression may cost small. A newline is never part of an option. */
    if (strnlen(option, RW_LANGUAGE_OPTION_BYTES_MAX + 1) > RW_LANGUAGE_OPTION_BYTES_MAX || strchr(option, '\n')) {
        return false;
    }
    for (unsigned i = 0; i < entry->n_options; i++) {
        if (regexec(&entry->options[i], option, 0, NULL, 0) == 0) {
            return true;
        }
    }
    return false;
}
