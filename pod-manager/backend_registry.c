/* The backends there are: one line each. An explicit table, because a linker drops from a static library what nothing names. */
#include <string.h>

#include <rw/auto.h>

#include "backend.h"

#define BACKENDS(X) X(backend_local) X(backend_kubernetes) X(backend_docker)

#define DECLARE(class) extern const struct backend_class class;
BACKENDS(DECLARE)

static const struct backend_class *const classes[] = {
#define LIST(class) &(class),
    BACKENDS(LIST)};

const struct backend_class *backend_at(size_t index)
{
    return index < RW_ARRAY_SIZE(classes) ? classes[index] : NULL;
}

const struct backend_class *backend_find(const char *name)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(classes); i++) {
        if (strcmp(classes[i]->name, name) == 0) {
            return classes[i];
        }
    }
    return NULL;
}

const char *backend_reason_name(enum backend_reason reason)
{
    static const char *const names[_BACKEND_REASON_MAX] = {
#define BACKEND_REASON(name, text) [BACKEND_##name] = (text),
#include "backend_reason.def"
#undef BACKEND_REASON
    };
    return names[reason];
}
