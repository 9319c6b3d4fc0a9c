#include "attack.h"

#include <fcntl.h>

int main(void)
{
    int n = 0;
    for (; n < 1000000; n++) {
        char name[32];
        snprintf(name, sizeof(name), "/tmp/%d", n);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        if (fd < 0) {
            break;
        }
        close(fd);
    }
    MUST_HOLD(n <= 65536);
    return held();
}
