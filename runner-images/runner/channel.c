/* Records and descriptors over a SOCK_SEQPACKET pair. */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union fd_control {
    char buffer[CMSG_SPACE(sizeof(int) * SANDBOX_FDS_MAX)];
    struct cmsghdr align;
};

int channel_send(int fd, const void *record, size_t len, const int *fds, size_t n_fds, struct rw_error *err)
{
    union fd_control control = {0};
    union {
        const void *constant;
        void *plain; /* sendmsg only reads, its structure is not const */
    } base = {.constant = record};
    struct iovec part = {.iov_base = base.plain, .iov_len = len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (n_fds > 0) {
        message.msg_control = control.buffer;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);
    }
    if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len) {
        return rw_fail_sys(err, UNAVAILABLE, errno, "the sandbox does not listen");
    }
    return 0;
}

int channel_receive(int fd, void *record, size_t len, int fds[static SANDBOX_FDS_MAX], size_t *ret_n_fds)
{
    union fd_control control;
    struct iovec part = {.iov_base = record, .iov_len = len};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.buffer, .msg_controllen = sizeof(control.buffer)};
    *ret_n_fds = 0;
    ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    for (struct cmsghdr *header = n < 0 ? NULL : CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            *ret_n_fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(fds, CMSG_DATA(header), sizeof(int) * *ret_n_fds);
        }
    }
    if (n == (ssize_t)len && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        return 1;
    }
    while (*ret_n_fds > 0) {
        (void)close(fds[--*ret_n_fds]);
    }
    return -1;
}
