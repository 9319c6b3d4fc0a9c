#define _GNU_SOURCE
#include "attack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char block[1 << 16];

static long fill(void)
{
    long total = 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 100) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0) {
        return 0;
    }
    for (;;) {
        int one = socket(AF_INET, SOCK_STREAM, 0);
        if (one < 0 || connect(one, (struct sockaddr *)&address, sizeof(address)) < 0 || accept(listener, NULL, NULL) < 0) {
            return total;
        }
        fcntl(one, F_SETFL, O_NONBLOCK);
        for (ssize_t n; (n = write(one, block, sizeof(block))) > 0;) {
            total += n;
        }
    }
}

int main(void)
{
    int results[2];
    if (pipe(results) < 0) {
        return 1;
    }
    for (int i = 0; i < 16; i++) {
        if (fork() == 0) {
            long total = fill();
            if (write(results[1], &total, sizeof(total)) < 0) {
                return 1;
            }
            pause();
        }
    }
    long sum = 0;
    for (int i = 0; i < 16; i++) {
        long total = 0;
        if (read(results[0], &total, sizeof(total)) > 0) {
            sum += total;
        }
    }
    MUST_HOLD(sum <= 256L << 20);
    return held();
}
