/* Texts of /proc that the runner reads: a process's stat line (its name is the program's to choose), and, when the first byte is
 * odd, mountinfo and cgroup, cut at the first byte of value 1. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <rw/auto.h>

#include "cgroup.h"
#include "process_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    RW_AUTO_FREE char *text = rw_xcalloc(1, size);
    memcpy(text, data + 1, size - 1);
    if ((data[0] & 1) == 0) {
        struct process process;
        (void)process_parse_stat(text, &process);
        return 0;
    }
    struct cgroup_place *places = rw_xcalloc(CGROUP_PLACES_MAX, sizeof(*places));
    char *self = strchr(text, 1);
    if (self) {
        *self++ = '\0';
    }
    unsigned n = cgroup_places_parse(text, self ? self : "", places);
    for (unsigned i = 0; i < n; i++) {
        HOLDS(places[i].controllers != 0 && strlen(places[i].base) < PATH_MAX);
    }
    free(places);
    return 0;
}
