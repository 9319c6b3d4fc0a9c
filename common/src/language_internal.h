/* What the catalogue keeps of a language besides the public struct. Internal to common/src. */
#ifndef RW_SRC_LANGUAGE_INTERNAL_H
#define RW_SRC_LANGUAGE_INTERNAL_H

#include <regex.h>

#include <rw/language.h>

enum { RW_LANGUAGE_OPTIONS_MAX = 64, RW_LANGUAGE_OPTION_BYTES_MAX = 256 };

struct rw_language_entry {
    struct rw_language language; /* first: a pointer to the one is a pointer to the other */
    regex_t options[RW_LANGUAGE_OPTIONS_MAX];
    unsigned n_options;
    char *warm_plan; /* NULL: none */ /* compiled so far */
};

/* CONFIG unless everything in the language makes sense beyond what the schema says; folder is the name its id must have. */
RW_NODISCARD int rw_language_check(const struct rw_language *language, const char *folder, struct rw_error *err);
/* Compile compile_options into entry->options; what was compiled must be released with rw_language_options_done even on failure. */
RW_NODISCARD int rw_language_options_compile(struct rw_language_entry *entry, struct rw_error *err);
void rw_language_options_done(struct rw_language_entry *entry);

/* Sets entry->warm_plan. */
RW_NODISCARD int rw_language_plan(struct rw_language_entry *entry, struct rw_error *err);

#endif
