#include "attack.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

int main(void)
{
    int n = 3;
    while (n < 100000 && open("/dev/null", O_RDONLY) >= 0) {
        n++;
    }
    MUST_HOLD(n <= 256);
    for (int fd = 3; fd < 256; fd++) {
        close(fd);
    }
    /* Descriptors on their way through sockets are in nobody's table. */
    int pair[2];
    int sent = 0;
    for (int sockets = 0; sockets < 100 && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0; sockets++) {
        for (;;) {
            int fds[64];
            for (int i = 0; i < 64; i++) {
                fds[i] = 0;
            }
            char control[CMSG_SPACE(sizeof(fds))] = {0};
            struct iovec data = {.iov_base = "x", .iov_len = 1};
            struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(fds));
            memcpy(CMSG_DATA(header), fds, sizeof(fds));
            if (sendmsg(pair[0], &message, MSG_DONTWAIT) < 0) {
                break;
            }
            sent += 64;
        }
    }
    MUST_HOLD(sent < 100000);
    return held();
}
