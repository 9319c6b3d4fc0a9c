/* The language catalogue: one folder a language with its language.yaml, read at start by every daemon (docs/adding-a-language.md).
 * Immutable after loading, so any thread may read it. */
#ifndef RW_LANGUAGE_H
#define RW_LANGUAGE_H

#include <rw/auto.h>
#include <rw/error.h>
#include <rw/job.h>

enum { RW_LANGUAGES_MAX = 64, RW_LANGUAGE_ID_BYTES_MAX = 32 };

/* argv templates: an element that is exactly "{sources}", "{options}" or "{args}" expands to zero or more elements; "{entry}" and
 * "{entry_stem}" (entry without its extension) are replaced inside any element, and so is "{memory_bytes}" (the stage's memory
 * limit, for runtimes that size their heap by what they take for the machine's memory). */
struct rw_language_warm { /* what is started ahead of a job: docs/warm.md */
    bool run;             /* the run stage's program; always true */
    char **compile_argv;  /* NULL: nothing; started in the place of the version's compile_argv, and does the same to the byte */
    unsigned n_compile_argv;
    char *host; /* NULL: none; a text that compile_argv finds at /proc/self/fd/63 */
};

struct rw_language_version {
    char *version;   /* "3.11.2" */
    bool is_default; /* exactly one a language */
    char **probe;    /* argv that prints the version; probe[0] must exist for the version to be offered */
    unsigned n_probe;
    char **compile_argv; /* NULL: interpreted */
    unsigned n_compile_argv;
    char **run_argv;
    unsigned n_run_argv;
    struct rw_language_warm *warm; /* NULL: always cold */
};

struct rw_language {
    char *id;   /* [a-z][a-z0-9+-]{0,31}: in queue names, labels, folders */
    char *name; /* for people */
    char **aliases;
    unsigned n_aliases;
    char *source_file;        /* name given to `source` */
    char **source_extensions; /* which files count as {sources} */
    unsigned n_source_extensions;
    struct rw_language_version *versions;
    unsigned n_versions;
    char **environment; /* "KEY=VALUE", of both stages; a request's env comes on top for the run stage */
    unsigned n_environment;
    char **compile_options; /* POSIX extended regular expressions, anchored at both ends: which options a request may give */
    unsigned n_compile_options;
    struct rw_limits limits_default;
    struct rw_limits limits_max;
    struct rw_limits compile_limits; /* fixed; zeros when no version compiles */
    struct {
        uint32_t warm; /* pods kept ready */
        uint32_t max;  /* pods at most, leased ones included */
    } pool;
    char *sample; /* name of the case that `./dev up` submits */
};

struct rw_catalogue;

/* Load every <dir>/<id>/language.yaml. CONFIG names file and line; an empty catalogue is an error. *ret owned by the caller. */
RW_NODISCARD int rw_catalogue_load(const char *dir, struct rw_catalogue **ret_catalogue, struct rw_error *err);
void rw_catalogue_free(struct rw_catalogue *catalogue);
RW_DEFINE_AUTO(struct rw_catalogue *, rw_catalogue_free);

size_t rw_catalogue_count(const struct rw_catalogue *catalogue);
const struct rw_language *rw_catalogue_at(const struct rw_catalogue *catalogue, size_t index);              /* sorted by id */
const struct rw_language *rw_catalogue_find(const struct rw_catalogue *catalogue, const char *id_or_alias); /* NULL: unknown */
/* wanted NULL or "": the default; "3" matches 3.11.2 but not 30.1; the newest match wins. NULL when none matches. */
const struct rw_language_version *rw_language_version_find(const struct rw_language *language, const char *wanted);
bool rw_language_option_is_permitted(const struct rw_language *language, const char *option);

/* The default version's plan of what to start ahead, as runwave-runner takes it (--warm); NULL: nothing. Borrowed. */
const char *rw_language_warm_plan(const struct rw_language *language);

struct rw_argv_inputs {
    const char *entry;
    const char *const *sources; /* names of the job's files that end in a source extension */
    size_t n_sources;
    const char *const *options;
    size_t n_options;
    const char *const *args;
    size_t n_args;
    uint64_t memory_bytes; /* the stage's limit */
};

/* Expand a template into a NULL-terminated argv owned by the caller (free with rw_strv_free). TOO_LARGE past RW_JOB_ARGS_MAX. */
RW_NODISCARD int rw_argv_expand(char *const *template_argv, size_t n_template, const struct rw_argv_inputs *inputs,
                                char ***ret_argv, size_t *ret_n, struct rw_error *err);
void rw_strv_free(char **strv);
RW_DEFINE_AUTO(char **, rw_strv_free);

#endif
