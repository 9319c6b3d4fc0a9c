#define _GNU_SOURCE
#include "attack.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main(void)
{
    static const long flags[] = {0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000, 0x2000000, 0x80};
    for (unsigned i = 0; i < 8; i++) {
        MUST_FAIL(unshare((int)flags[i]));
        MUST_FAIL(unshare((int)(flags[i] | 0x10000000)));
        if (flags[i] != 0x80) { /* the low byte of clone's flags is a signal */
            long pid = syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0);
            if (pid == 0) {
                _exit(0);
            }
            MUST_HOLD(pid == -1);
            pid = syscall(SYS_clone, flags[i] | 0x10000000 | SIGCHLD, 0, 0, 0, 0);
            if (pid == 0) {
                _exit(0);
            }
            MUST_HOLD(pid == -1);
        }
        struct clone_args args = {.flags = (unsigned long)flags[i], .exit_signal = SIGCHLD};
        long pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid == 0) {
            _exit(0);
        }
        MUST_HOLD(pid == -1);
    }
    static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};
    for (unsigned i = 0; i < 8; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
        MUST_FAIL(setns(open(path, O_RDONLY), 0));
        snprintf(path, sizeof(path), "/proc/1/ns/%s", names[i]);
        MUST_FAIL(open(path, O_RDONLY));
    }
    return held();
}
