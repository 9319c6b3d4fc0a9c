/* A language.yaml: loading ends in a language that holds what the rest relies on, or in a fault with the file's name. */
#include "fuzz.h"

#include <string.h>
#include <sys/stat.h>

#include <rw/language.h>

/* One folder a process, made at the first input and removed at exit. */
static char dir[] = "/tmp/fuzz-language-XXXXXX";
static char folder[sizeof(dir) + 8];
static char file[sizeof(dir) + 24];

static void remove_folder(void)
{
    (void)remove(file);
    (void)remove(folder);
    (void)remove(dir);
}

static void make_folder(void)
{
    HOLDS(mkdtemp(dir));
    (void)snprintf(folder, sizeof(folder), "%s/demo", dir);
    (void)snprintf(file, sizeof(file), "%s/language.yaml", folder);
    HOLDS(mkdir(folder, 0700) == 0);
    HOLDS(atexit(remove_folder) == 0);
}

static void check_language(const struct rw_language *language)
{
    struct rw_error err = {0};
    static const char *const names[] = {"main.x", "-x"};
    const struct rw_argv_inputs inputs = {names[0], names, 2, names, 2, names, 2, 1 << 20};
    HOLDS(strcmp(language->id, "demo") == 0 && language->n_versions && rw_language_version_find(language, NULL));
    HOLDS(language->limits_default.cpu_ms && language->limits_default.cpu_ms <= language->limits_max.cpu_ms);
    for (unsigned i = 0; i < language->n_versions; i++) {
        const struct rw_language_version *version = &language->versions[i];
        RW_AUTO(rw_strv_free) char **argv = NULL;
        size_t n = 0;
        HOLDS(version->run_argv[0][0] == '/');
        HOLDS(rw_argv_expand(version->run_argv, version->n_run_argv, &inputs, &argv, &n, &err) == 0);
        HOLDS(rw_language_version_find(language, version->version));
    }
    (void)rw_language_option_is_permitted(language, "-O2");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_error err = {0};
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    if (!file[0]) {
        make_folder();
    }
    FILE *out = fopen(file, "wb");
    HOLDS(out && fwrite(data, 1, size, out) == size && fclose(out) == 0);
    if (rw_catalogue_load(dir, &catalogue, &err) < 0) {
        HOLDS(err.code == RW_ERR_CONFIG && strstr(err.message, "language.yaml"));
        return 0;
    }
    HOLDS(rw_catalogue_count(catalogue) == 1);
    check_language(rw_catalogue_at(catalogue, 0));
    return 0;
}
