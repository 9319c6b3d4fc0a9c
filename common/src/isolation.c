/* The names of the isolation levels. */
#include <rw/isolation.h>

#include <string.h>

static const char *const names[_RW_ISOLATION_MAX] = {[RW_ISOLATION_POD] = "pod", [RW_ISOLATION_SANDBOX] = "sandbox"};

const char *rw_isolation_name(enum rw_isolation isolation)
{
    return (unsigned)isolation < _RW_ISOLATION_MAX ? names[isolation] : "invalid";
}

enum rw_isolation rw_isolation_parse(const char *text)
{
    for (int i = 0; i < _RW_ISOLATION_MAX; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum rw_isolation)i;
        }
    }
    return _RW_ISOLATION_INVALID;
}
