#include "attack.h"

#include <fcntl.h>
#include <stdlib.h>

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    close(fd);
    return n < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    MUST_FAIL(put("/proc/1/oom_score_adj", "1000"));
    MUST_FAIL(put("/proc/1/oom_score_adj", "-1000"));
    MUST_FAIL(put("/proc/self/oom_score_adj", "-1000"));
    put("/proc/self/oom_score_adj", "0");
    while (argc > 1) {
        char *block = malloc(1 << 24);
        if (block) {
            memset(block, 1, 1 << 24);
        }
    }
    return held();
}
