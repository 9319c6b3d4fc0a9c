/* The table of sandbox strategies. A new one is a file with one const struct and a line here. */
#include "sandbox.h"

#include <string.h>

#include <rw/auto.h>

static const struct sandbox_strategy *const strategies[] = {
    &sandbox_namespaces,
    &sandbox_container,
};

const struct sandbox_strategy *sandbox_strategy_find(const char *name)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(strategies); i++) {
        if (strcmp(strategies[i]->name, name) == 0) {
            return strategies[i];
        }
    }
    return NULL;
}
