#include "attack.h"

#include <fcntl.h>
#include <signal.h>

static long fill(const char *folder)
{
    static char block[1 << 16];
    long total = 0;
    for (int number = 0; number < 200; number++) {
        char name[64];
        snprintf(name, sizeof(name), "%s/fill%d", folder, number);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        ssize_t n = fd < 0 ? -1 : write(fd, block, sizeof(block));
        if (n <= 0) {
            break;
        }
        for (; n > 0; n = write(fd, block, sizeof(block))) {
            total += n;
        }
        close(fd);
    }
    return total;
}

int main(void)
{
    signal(SIGXFSZ, SIG_IGN);
    int fd = open("/tmp/large", O_CREAT | O_RDWR, 0600);
    MUST_FAIL(fallocate(fd, 0, 0, 100L << 30));
    MUST_FAIL(ftruncate(fd, 100L << 30));
    close(fd);
    unlink("/tmp/large");
    MUST_HOLD(fill("/box") + fill("/tmp") + fill("/dev/shm") <= 64L << 20);
    return held();
}
