/* The backends under test, one line each. */
#include <string.h>

#include <rw/auto.h>

#include "conformance.h"

static const struct subject *const subjects[] = {
    &subject_local,
};

const struct subject *subject_find(const char *backend)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(subjects); i++) {
        if (strcmp(subjects[i]->backend, backend) == 0) {
            return subjects[i];
        }
    }
    return NULL;
}
