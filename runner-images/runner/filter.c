/* The system call filter. A deny list, because the languages' runtimes need most calls: what is refused is what namespaces and
 * missing capabilities do not already make harmless, and what has brought kernels down from unprivileged programs.
 * Calls younger than this list are answered with ENOSYS, so that the code sees an older kernel instead of an unreviewed one.
 * Programs of another architecture (the 32-bit and x32 tables, which would pass by the numbers checked here) are killed. */
#include "filter.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rw/auto.h>

struct denied_call {
    const char *name;
    int answer; /* the errno; 0: answered with success, and not done */
    const char *reason;
};

static const struct denied_call denied_calls[] = {
    {"io_uring_setup", EPERM, "runs calls past this filter, and a steady source of kernel holes"},
    {"io_uring_enter", EPERM, "as io_uring_setup"},
    {"io_uring_register", EPERM, "as io_uring_setup"},
    {"io_setup", ENOSYS, "fs.aio-max-nr is one count for the whole machine: a task could use it up for all"},
    {"io_submit", ENOSYS, "as io_setup"},
    {"io_getevents", ENOSYS, "as io_setup"},
    {"io_pgetevents", ENOSYS, "as io_setup"},
    {"io_cancel", ENOSYS, "as io_setup"},
    {"io_destroy", ENOSYS, "as io_setup"},
    {"add_key", EPERM, "keyrings belong to the uid, not to a namespace: they would outlive the task"},
    {"request_key", EPERM, "as add_key; may start a helper of the host"},
    {"keyctl", EPERM, "as add_key"},
    {"ptrace", EPERM, "attaches to others of the same uid"},
    {"process_vm_readv", EPERM, "reads the memory of others of the same uid"},
    {"process_vm_writev", EPERM, "writes the memory of others of the same uid"},
    {"process_madvise", EPERM, "acts on the memory of others"},
    {"pidfd_getfd", EPERM, "takes descriptors of others of the same uid"},
    {"kcmp", EPERM, "tells kernel addresses apart"},
    {"bpf", EPERM, "programs in the kernel"},
    {"perf_event_open", EPERM, "side channels; a steady source of kernel holes"},
    {"userfaultfd", EPERM, "halts the kernel at will inside a copy, which makes races winnable"},
    {"mount", EPERM, "the mount family: the tree is finished"},
    {"umount2", EPERM, "as mount"},
    {"umount", EPERM, "as mount"},
    {"pivot_root", EPERM, "as mount"},
    {"chroot", EPERM, "as mount"},
    {"fsopen", EPERM, "as mount: mount contexts parse strings in the kernel"},
    {"fsconfig", EPERM, "as fsopen"},
    {"fsmount", EPERM, "as fsopen"},
    {"fspick", EPERM, "as fsopen"},
    {"move_mount", EPERM, "as mount"},
    {"open_tree", EPERM, "as mount"},
    {"mount_setattr", EPERM, "as mount"},
    {"unshare", EPERM, "a new user namespace gives capabilities over its own kernel objects, the widest attack surface there is"},
    {"setns", EPERM, "as unshare"},
    {"clone3", ENOSYS, "its flags lie in memory, where no filter sees them; C libraries fall back to clone"},
    {"sync", 0, "would make the whole machine write; what the code writes does not outlive it, so it has nothing to miss"},
    {"syncfs", 0, "as sync"},
    {"fsync", 0, "as sync: even of a shared file of /usr it flushes the machine's disk"},
    {"fdatasync", 0, "as fsync"},
    {"swapon", EPERM, "host administration"},
    {"swapoff", EPERM, "host administration"},
    {"reboot", EPERM, "host administration"},
    {"kexec_load", EPERM, "host administration"},
    {"kexec_file_load", EPERM, "host administration"},
    {"init_module", EPERM, "host administration"},
    {"finit_module", EPERM, "host administration"},
    {"delete_module", EPERM, "host administration"},
    {"acct", EPERM, "host administration"},
    {"quotactl", EPERM, "host administration"},
    {"quotactl_fd", EPERM, "host administration"},
    {"settimeofday", EPERM, "host administration"},
    {"clock_settime", EPERM, "host administration"},
    {"clock_adjtime", EPERM, "host administration"},
    {"adjtimex", EPERM, "host administration"},
    {"sethostname", EPERM, "host administration"},
    {"setdomainname", EPERM, "host administration"},
    {"iopl", EPERM, "hardware"},
    {"ioperm", EPERM, "hardware"},
    {"syslog", EPERM, "the kernel's log"},
    {"vhangup", EPERM, "terminals"},
    {"nfsservctl", ENOSYS, "gone from the kernel"},
    {"uselib", ENOSYS, "obsolete loader"},
    {"ustat", ENOSYS, "obsolete"},
    {"sysfs", ENOSYS, "obsolete"},
    {"_sysctl", ENOSYS, "obsolete"},
    {"lookup_dcookie", EPERM, "profiling"},
    {"name_to_handle_at", EPERM, "file handles pass by paths"},
    {"open_by_handle_at", EPERM, "file handles pass by paths: the way out of early containers"},
    {"fanotify_init", EPERM, "sees what others do with shared files"},
    {"fanotify_mark", EPERM, "as fanotify_init"},
    {"inotify_init", ENOSYS, "watches inodes, not mounts: would tell when neighbours open a shared file of /usr"},
    {"inotify_init1", ENOSYS, "as inotify_init"},
    {"inotify_add_watch", ENOSYS, "as inotify_init"},
    {"mbind", EPERM, "memory placement of the host"},
    {"set_mempolicy", EPERM, "memory placement of the host"},
    {"set_mempolicy_home_node", EPERM, "memory placement of the host"},
    {"migrate_pages", EPERM, "memory placement of the host"},
    {"move_pages", EPERM, "memory placement of the host; tells where pages lie"},
    {"memfd_secret", EPERM, "memory that no limit and no watch sees"},
    {"modify_ldt", EPERM, "16-bit segments: little used, often broken"},
    {"vm86", EPERM, "as modify_ldt"},
    {"vm86old", EPERM, "as modify_ldt"},
};

/* Memory that is in no process's resident set: without a memory cgroup nothing would count it. */
static const struct denied_call denied_when_watched[] = {
    {"memfd_create", ENOSYS, "a file of memory that need not be mapped"},
    {"shmget", ENOSYS, "a segment that need not be attached"},
};

static const struct denied_call denied_without_network[] = {
    {"listen", EPERM, "the pod's network is not the code's"},
};

/* Refused when (argument & mask) == value. */
struct denied_argument {
    const char *name;
    unsigned argument;
    int answer;
    uint64_t mask;
    uint64_t value;
    const char *reason;
};

#define LOW_32 UINT64_C(0xffffffff)

static const struct denied_argument denied_arguments[] = {
    {"clone", 0, EPERM, CLONE_NEWUSER, CLONE_NEWUSER, "as unshare"},
    {"clone", 0, EPERM, CLONE_NEWNS, CLONE_NEWNS, "as unshare"},
    {"clone", 0, EPERM, CLONE_NEWPID, CLONE_NEWPID, "as unshare"},
    {"clone", 0, EPERM, CLONE_NEWNET, CLONE_NEWNET, "as unshare"},
    {"clone", 0, EPERM, CLONE_NEWIPC, CLONE_NEWIPC, "as unshare"},
    {"clone", 0, EPERM, CLONE_NEWUTS, CLONE_NEWUTS, "as unshare"},
    {"clone", 0, EPERM, CLONE_NEWCGROUP, CLONE_NEWCGROUP, "as unshare"},
    {"ioctl", 1, EPERM, LOW_32, TIOCSTI, "types into the terminal of whoever started us"},
    {"ioctl", 1, EPERM, LOW_32, TIOCLINUX, "pastes into a console"},
    {"ioctl", 1, EPERM, LOW_32, TIOCSETD, "loads line disciplines"},
    {"fcntl", 1, EPERM, LOW_32, F_NOTIFY, "watches shared folders, as inotify"},
    {"prctl", 0, EPERM, LOW_32, 59 /* PR_SCHED_CORE */, "core scheduling is the host's"},
    {"personality", 0, EPERM, 0x0400000, 0x0400000, "READ_IMPLIES_EXEC"},
    {"personality", 0, EPERM, 0x0100000, 0x0100000, "MMAP_PAGE_ZERO"},
};

/* Refused for others than the calling thread (argument 0 is not 0), where the code has the uid of its supervisor: the kernel would
 * let it take the supervisor's descriptors or processor away. With a uid of its own it may. */
static const char *const denied_on_others[] = {
    "prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr",
};

enum {
    FAMILIES_MAX = 64, /* beyond the kernel's last one; above it one comparison refuses everything */
    PROTOCOL_LAST = IPPROTO_UDP,
    /* The first system call number that this list's authors have not looked at (cachestat, Linux 6.5); from 424 on all
     * architectures number alike. */
    FIRST_UNKNOWN_CALL = 451,
    FIRST_COMMON_CALL = 424,
/* Before that every architecture has a gap of numbers behind its own table, and may fill it with calls of its own. */
#if defined(__x86_64__)
    FIRST_CALL_IN_GAP = 335,
#elif defined(__aarch64__)
    FIRST_CALL_IN_GAP = 295,
#else
    FIRST_CALL_IN_GAP = FIRST_COMMON_CALL,
#endif
};

static int deny(scmp_filter_ctx context, const struct denied_call *calls, size_t n_calls, struct rw_error *err)
{
    for (size_t i = 0; i < n_calls; i++) {
        int number = seccomp_syscall_resolve_name(calls[i].name);
        if (number < 0) {
            continue; /* not on this architecture */
        }
        int status = seccomp_rule_add(context, SCMP_ACT_ERRNO((uint32_t)calls[i].answer), number, 0);
        if (status < 0) {
            return rw_fail_sys(err, INTERNAL, -status, "filter rule for %s", calls[i].name);
        }
    }
    return 0;
}

/* Arguments are compared as 64 bits; where the kernel takes 32, "greater or equal" catches what hides in the upper half. */
static struct scmp_arg_cmp when(unsigned argument, enum scmp_compare comparison, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = comparison, .datum_a = value, .datum_b = 0};
}

static int deny_when(scmp_filter_ctx context, int answer, int number, struct scmp_arg_cmp compare)
{
    return seccomp_rule_add_array(context, SCMP_ACT_ERRNO((uint32_t)answer), number, 1, &compare);
}

static int deny_arguments(scmp_filter_ctx context, struct rw_error *err)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(denied_arguments); i++) {
        const struct denied_argument *rule = &denied_arguments[i];
        int number = seccomp_syscall_resolve_name(rule->name);
        struct scmp_arg_cmp compare = {
            .arg = rule->argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = rule->mask, .datum_b = rule->value};
        int status = number < 0 ? 0 : seccomp_rule_add_array(context, SCMP_ACT_ERRNO((uint32_t)rule->answer), number, 1, &compare);
        if (status < 0) {
            return rw_fail_sys(err, INTERNAL, -status, "filter rule for %s", rule->name);
        }
    }
    return 0;
}

/* setpriority and ioprio_set name whom they mean by two arguments: the first says that the second is a process, a group or a
 * user. */
static int deny_on_others(scmp_filter_ctx context, struct rw_error *err)
{
    int status = 0;
    for (size_t i = 0; i < RW_ARRAY_SIZE(denied_on_others) && status == 0; i++) {
        status = deny_when(context, EPERM, seccomp_syscall_resolve_name(denied_on_others[i]), when(0, SCMP_CMP_NE, 0));
    }
    const int by_two[] = {SCMP_SYS(setpriority), SCMP_SYS(ioprio_set)};
    const unsigned of_process[] = {PRIO_PROCESS, 1 /* IOPRIO_WHO_PROCESS */};
    for (size_t i = 0; i < RW_ARRAY_SIZE(by_two) && status == 0; i++) {
        status = deny_when(context, EPERM, by_two[i], when(1, SCMP_CMP_NE, 0));
        if (status == 0) {
            status = deny_when(context, EPERM, by_two[i], when(0, SCMP_CMP_NE, of_process[i]));
        }
    }
    return status < 0 ? rw_fail_sys(err, INTERNAL, -status, "filter rule for other processes") : 0;
}

static bool is_family_permitted(unsigned family, bool has_own_network)
{
    return family == AF_UNIX || (has_own_network && (family == AF_INET || family == AF_INET6));
}

/* Socket families are an allow list: the odd ones (vsock, alg, packet, tipc, netlink, ...) are not all separated by namespaces and
 * are where kernels break. Spelled as refusals, because the filter permits by default. */
static int deny_families(scmp_filter_ctx context, bool has_own_network, struct rw_error *err)
{
    const int calls[] = {SCMP_SYS(socket), SCMP_SYS(socketpair)};
    int status = 0;
    for (size_t i = 0; i < RW_ARRAY_SIZE(calls) && status == 0; i++) {
        for (unsigned family = 0; family < FAMILIES_MAX && status == 0; family++) {
            if (!is_family_permitted(family, has_own_network)) {
                status = deny_when(context, EAFNOSUPPORT, calls[i], when(0, SCMP_CMP_EQ, family));
            }
        }
        if (status == 0) {
            status = deny_when(context, EAFNOSUPPORT, calls[i], when(0, SCMP_CMP_GE, FAMILIES_MAX));
        }
    }
    /* Of the internet families, TCP and UDP only: sctp, dccp, mptcp and their like load modules. */
    static const unsigned internet[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < RW_ARRAY_SIZE(internet) && status == 0; i++) {
        const struct scmp_arg_cmp both[] = {when(0, SCMP_CMP_EQ, internet[i]), when(2, SCMP_CMP_GT, PROTOCOL_LAST)};
        status = has_own_network ? seccomp_rule_add_array(context, SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), 2, both) : 0;
    }
    return status < 0 ? rw_fail_sys(err, INTERNAL, -status, "filter rule for sockets") : 0;
}

static int add_rules(scmp_filter_ctx context, const struct filter_options *options, struct rw_error *err)
{
    if (seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0) {
        return rw_fail(err, INTERNAL, "libseccomp refuses its attributes");
    }
    if (deny(context, denied_calls, RW_ARRAY_SIZE(denied_calls), err) < 0 || deny_arguments(context, err) < 0 ||
        deny_families(context, options->has_own_network, err) < 0) {
        return -1;
    }
    if (options->shares_uid && deny_on_others(context, err) < 0) {
        return -1;
    }
    if (options->is_memory_watched && deny(context, denied_when_watched, RW_ARRAY_SIZE(denied_when_watched), err) < 0) {
        return -1;
    }
    return options->has_own_network ? 0 : deny(context, denied_without_network, RW_ARRAY_SIZE(denied_without_network), err);
}

/* What libseccomp cannot say: ranges of numbers. Jumps are relative, so these stand before its program. x32 calls (bit 30)
 * are left to it: their "architecture" is killed. */
static const struct sock_filter unknown_calls[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_UNKNOWN_CALL, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_COMMON_CALL, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_CALL_IN_GAP, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
};

/* libseccomp writes the program to a descriptor only. */
static int export_program(scmp_filter_ctx context, struct sock_fprog *ret_program, struct rw_error *err)
{
    RW_AUTO_FD int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "memfd_create");
    }
    int status = seccomp_export_bpf(context, fd);
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (status < 0 || bytes <= 0) {
        return rw_fail_sys(err, INTERNAL, -status, "seccomp_export_bpf");
    }
    size_t n_exported = (size_t)bytes / sizeof(struct sock_filter);
    size_t n_total = n_exported + RW_ARRAY_SIZE(unknown_calls);
    if (n_total > BPF_MAXINSNS) {
        return rw_fail(err, INTERNAL, "a filter of %zu instructions", n_total);
    }
    struct sock_filter *program = rw_xcalloc(n_total, sizeof(*program));
    memcpy(program, unknown_calls, sizeof(unknown_calls));
    if (pread(fd, program + RW_ARRAY_SIZE(unknown_calls), (size_t)bytes, 0) != (ssize_t)bytes) {
        free(program);
        return rw_fail_sys(err, INTERNAL, errno, "reading the filter");
    }
    *ret_program = (struct sock_fprog){.len = (unsigned short)n_total, .filter = program};
    return 0;
}

int filter_build(const struct filter_options *options, struct sock_fprog *ret_program, struct rw_error *err)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    if (!context) {
        return rw_fail(err, INTERNAL, "seccomp_init");
    }
    int status = add_rules(context, options, err);
    if (status == 0) {
        status = export_program(context, ret_program, err);
    }
    seccomp_release(context);
    return status;
}

void filter_done(struct sock_fprog *program)
{
    free(program->filter);
    *program = (struct sock_fprog){0};
}

int filter_load(const struct sock_fprog *program, struct rw_error *err)
{
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "seccomp");
    }
    return 0;
}
