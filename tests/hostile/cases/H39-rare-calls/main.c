#define _GNU_SOURCE
#include "attack.h"

#include <linux/io_uring.h>
#include <sys/socket.h>
#include <sys/syscall.h>

int main(void)
{
    struct io_uring_params params = {0};
    MUST_FAIL(syscall(SYS_io_uring_setup, 8, &params));
    MUST_FAIL(syscall(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0));
    MUST_FAIL(syscall(SYS_io_uring_register, 0, 0, 0, 0));
    long context = 0;
    MUST_FAIL(syscall(SYS_io_setup, 1, &context)); /* counted for the whole machine */
    MUST_FAIL(syscall(SYS_bpf, 0, &params, sizeof(params)));
    MUST_FAIL(syscall(SYS_userfaultfd, 0));
    MUST_FAIL(syscall(SYS_userfaultfd, 1));
    MUST_FAIL(syscall(SYS_perf_event_open, &params, 0, -1, -1, 0));
    MUST_FAIL(syscall(SYS_keyctl, 0, -3, 1));
    MUST_FAIL(syscall(SYS_add_key, "user", "x", "x", 1, -3));
    MUST_FAIL(syscall(SYS_modify_ldt, 0, &params, sizeof(params)));
    MUST_FAIL(syscall(SYS_name_to_handle_at, -100, "/", &params, 0, 0));
    MUST_FAIL(syscall(SYS_open_by_handle_at, 3, &params, 0));
    MUST_FAIL(syscall(SYS_fanotify_init, 0, 0));
    MUST_FAIL(syscall(SYS_inotify_init1, 0));
    MUST_FAIL(syscall(SYS_memfd_secret, 0));
    MUST_FAIL(syscall(SYS_fsopen, "tmpfs", 0));
    MUST_FAIL(syscall(SYS_open_tree, -100, "/", 1));
    MUST_FAIL(syscall(SYS_quotactl, 0, 0, 0, 0));
    MUST_FAIL(syscall(SYS_acct, "/tmp/x"));
    for (long number = 337; number < 1024; number++) {
        if ((number >= 424 && number < 451) || (number >= 512 && number < 548)) {
            continue; /* known ones; the x32 table's */
        }
        errno = 0;
        if (syscall(number, -1, -1, -1, -1, -1, -1) != -1 || errno != ENOSYS) {
            printf("ESCAPED: unknown call %ld: %s\n", number, strerror(errno));
            escapes++;
        }
    }
    for (int family = 0; family < 256; family++) {
        static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, 10};
        for (unsigned i = 0; i < 5 && family != AF_UNIX && family != AF_INET && family != AF_INET6; i++) {
            MUST_FAIL(socket(family, types[i], 0));
            int pair[2];
            MUST_FAIL(socketpair(family, types[i], 0, pair));
        }
    }
    MUST_FAIL(socket(AF_INET, SOCK_STREAM, 132));  /* sctp */
    MUST_FAIL(socket(AF_INET, SOCK_STREAM, 262));  /* mptcp */
    MUST_FAIL(socket(AF_INET6, SOCK_DGRAM, 136)); /* udplite */
    return held();
}
