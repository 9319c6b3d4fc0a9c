#include "attack.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

int main(void)
{
    char byte = 0;
    struct iovec local = {.iov_base = &byte, .iov_len = 1};
    struct iovec remote = {.iov_base = (void *)0x400000, .iov_len = 1};
    const int pids[] = {1, getppid() ? getppid() : 1};
    for (int i = 0; i < 2; i++) {
        int pid = pids[i];
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/mem", pid);
        MUST_FAIL(ptrace(PTRACE_SEIZE, pid, 0, 0));
        MUST_FAIL(ptrace(PTRACE_ATTACH, pid, 0, 0));
        MUST_FAIL(process_vm_readv(pid, &local, 1, &remote, 1, 0));
        MUST_FAIL(process_vm_writev(pid, &local, 1, &remote, 1, 0));
        MUST_FAIL(open(path, O_RDONLY));
        MUST_FAIL(open(path, O_RDWR));
        int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
        MUST_FAIL(syscall(SYS_pidfd_getfd, pid_fd, 3, 0));
        MUST_FAIL(syscall(SYS_kcmp, pid, getpid(), 0, 0, 0));
        MUST_FAIL(syscall(SYS_process_madvise, pid_fd, &remote, 1, 4, 0));
    }
    return held();
}
