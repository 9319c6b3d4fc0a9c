#include "attack.h"

#include <sys/mman.h>

int main(int argc, char **argv)
{
    (void)argv;
    size_t bytes = 1UL << 40;
    char *space = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        return 2;
    }
    size_t step = argc > 1 ? 4096 : 1UL << 32;
    for (size_t at = 0; at < bytes; at += step) {
        space[at] = 1;
    }
    return held();
}
