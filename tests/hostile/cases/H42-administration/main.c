#define _GNU_SOURCE
#include "attack.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>

int main(void)
{
    struct timespec now = {.tv_sec = 1};
    MUST_FAIL(reboot(RB_AUTOBOOT));
    MUST_FAIL(reboot(RB_ENABLE_CAD));
    MUST_FAIL(mount("none", "/tmp", "tmpfs", 0, NULL));
    MUST_FAIL(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
    MUST_FAIL(mount("/", "/tmp", NULL, MS_BIND, NULL));
    MUST_FAIL(umount2("/proc", MNT_DETACH));
    MUST_FAIL(umount2("/box", MNT_DETACH));
    MUST_FAIL(chroot("/tmp"));
    MUST_FAIL(syscall(SYS_pivot_root, "/tmp", "/tmp"));
    MUST_FAIL(mknod("/tmp/memory", S_IFCHR | 0666, makedev(1, 1)));
    MUST_FAIL(mknod("/tmp/disk", S_IFBLK | 0666, makedev(8, 0)));
    MUST_FAIL(swapon("/tmp/x", 0));
    MUST_FAIL(sethostname("x", 1));
    MUST_FAIL(setdomainname("x", 1));
    MUST_FAIL(clock_settime(CLOCK_REALTIME, &now));
    MUST_FAIL(syscall(SYS_init_module, "", 0, ""));
    MUST_FAIL(syscall(SYS_delete_module, "ext4", 0));
    MUST_FAIL(syscall(SYS_kexec_load, 0, 0, 0, 0));
    MUST_FAIL(syscall(SYS_iopl, 3));
    MUST_FAIL(syscall(SYS_ioperm, 0, 8, 1));
    struct sched_param realtime = {.sched_priority = 1};
    MUST_FAIL(sched_setscheduler(0, SCHED_FIFO, &realtime));
    MUST_FAIL(setpriority(PRIO_PROCESS, 0, -5));
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    MUST_FAIL(setrlimit(RLIMIT_NPROC, &limit));
    MUST_FAIL(setrlimit(RLIMIT_NOFILE, &limit));
    MUST_FAIL(setrlimit(RLIMIT_FSIZE, &limit));
    MUST_FAIL(open("/dev/mem", O_RDWR));
    MUST_FAIL(open("/dev/sda", O_RDONLY));
    MUST_FAIL(open("/dev/vda", O_RDONLY));
    MUST_FAIL(open("/usr/bin/attack", O_CREAT | O_WRONLY, 0755));
    MUST_FAIL(unlink("/usr/bin/id"));
    MUST_FAIL(open("/etc/passwd", O_WRONLY));
    MUST_FAIL(rename("/etc/passwd", "/etc/other"));
    MUST_FAIL(mkdir("/attack", 0755));
    return held();
}
