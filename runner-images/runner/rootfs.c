/* The sandbox's file tree. Everything is done on descriptors with the mount calls of Linux 5.2 and 5.12: no path that anybody
 * could race is looked up twice, and flags are added to a copied tree without having to repeat those it already has.
 *
 *   /            tmpfs, read-only once built
 *   /usr         the system's, read-only; /bin, /lib and so on as the same links the system has
 *   /etc         generated files and the few of the system's that runtimes read
 *   /dev         five device nodes, links to /proc/self/fd, a private shm
 *   /proc        new, processes only (subset=pid): no kcore, keys, sysrq, sys, or anything else of the kernel
 *   /box /tmp    one private tmpfs, also behind /dev/shm
 * No /sys, /home, /root, /run, /var. */
#include "rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rw/auto.h>

#include "sandbox.h"

enum {
    ATTR_READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
    SCRATCH_INODES_MIN = 1024,
    SCRATCH_INODES_MAX = 65536
};

static const char *const devices[] = {"null", "zero", "full", "random", "urandom"};

static const struct {
    const char *name;
    const char *target;
} device_links[] = {
    {"dev/fd", "/proc/self/fd"},
    {"dev/stdin", "/proc/self/fd/0"},
    {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"},
};

/* Either links into /usr (merged) or folders of their own. */
static const char *const system_folders[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

/* What runtimes read of the system's /etc; the rest is nobody's business. */
static const char *const etc_patterns[] = {"alternatives", "java*",    "python3*", "perl",      "ld.so.cache",
                                           "localtime",    "timezone", "magic",    "mime.types"};
static const char *const etc_ssl_names[] = {"certs", "openssl.cnf"};

static const struct {
    const char *name;
    const char *content;
} generated_files[] = {
    {"etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\n"
                   "sandbox:x:1000:1000:sandbox:/box:/bin/sh\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"etc/group", "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n"},
    {"etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"},
    {"etc/hostname", "sandbox\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n"},
};

static int mount_new(const char *type, const char *const (*options)[2], size_t n_options, unsigned attributes, struct rw_error *err)
{
    RW_AUTO_FD int fs = fsopen(type, FSOPEN_CLOEXEC);
    if (fs < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "a new %s", type);
    }
    for (size_t i = 0; i < n_options; i++) {
        if (fsconfig(fs, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0) {
            return rw_fail_sys(err, UNSUPPORTED, errno, "%s with %s=%s", type, options[i][0], options[i][1]);
        }
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "creating a %s", type);
    }
    int mounted = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
    return mounted < 0 ? rw_fail_sys(err, UNSUPPORTED, errno, "mounting a %s", type) : mounted;
}

static int attach(int mount_fd, int dir_fd, const char *path, struct rw_error *err)
{
    if (move_mount(mount_fd, "", dir_fd, path, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "attaching %s", path);
    }
    return 0;
}

/* A copy of what is mounted at from (below from_fd), with attributes added, attached at to below root. */
static int bind_tree(int from_fd, const char *from, int root, const char *to, unsigned attributes, struct rw_error *err)
{
    /* Recursive: in a user namespace the kernel refuses a copy that would uncover what is mounted over. */
    RW_AUTO_FD int tree = open_tree(from_fd, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "copying the mount of %s", from);
    }
    struct mount_attr attr = {.attr_set = attributes};
    if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "restricting the mount of %s", from);
    }
    return attach(tree, root, to, err);
}

static int make_file(int root, const char *name, const char *content, struct rw_error *err)
{
    RW_AUTO_FD int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t len = strlen(content);
    if (fd < 0 || write(fd, content, len) != (ssize_t)len) {
        return rw_fail_sys(err, INTERNAL, errno, "creating /%s", name);
    }
    return 0;
}

static int make_folder(int root, const char *name, mode_t mode, struct rw_error *err)
{
    if (mkdirat(root, name, mode) < 0 || fchmodat(root, name, mode, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "creating /%s", name);
    }
    return 0;
}

static int make_link(int root, const char *target, const char *name, struct rw_error *err)
{
    if (symlinkat(target, root, name) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "linking /%s", name);
    }
    return 0;
}

/* The system's /name into the sandbox: links as links, folders and files bound read-only, nothing when it is not there. */
static int take_over(int system, int root, const char *name, struct rw_error *err)
{
    struct stat st;
    if (fstatat(system, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT ? 0 : rw_fail_sys(err, INTERNAL, errno, "/%s", name);
    }
    if (S_ISLNK(st.st_mode)) {
        char target[256];
        ssize_t len = readlinkat(system, name, target, sizeof(target) - 1);
        if (len < 0) {
            return rw_fail_sys(err, INTERNAL, errno, "/%s", name);
        }
        target[len] = '\0';
        return make_link(root, target, name, err);
    }
    int made = S_ISDIR(st.st_mode) ? make_folder(root, name, 0755, err) : make_file(root, name, "", err);
    return made < 0 ? -1 : bind_tree(system, name, root, name, ATTR_READ_ONLY, err);
}

static int build_etc(int system, int root, struct rw_error *err)
{
    if (make_folder(root, "etc", 0755, err) < 0 || make_folder(root, "etc/ssl", 0755, err) < 0) {
        return -1;
    }
    int etc_fd = openat(system, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *etc = etc_fd < 0 ? NULL : fdopendir(etc_fd);
    int status = 0;
    for (struct dirent *entry; etc && status == 0 && (entry = readdir(etc));) {
        for (size_t i = 0; status == 0 && i < RW_ARRAY_SIZE(etc_patterns); i++) {
            if (fnmatch(etc_patterns[i], entry->d_name, 0) == 0) {
                RW_AUTO_FREE char *name = rw_xasprintf("etc/%s", entry->d_name);
                status = take_over(system, root, name, err);
            }
        }
    }
    if (etc) {
        (void)closedir(etc);
    }
    for (size_t i = 0; status == 0 && i < RW_ARRAY_SIZE(etc_ssl_names); i++) {
        RW_AUTO_FREE char *name = rw_xasprintf("etc/ssl/%s", etc_ssl_names[i]);
        status = take_over(system, root, name, err);
    }
    for (size_t i = 0; status == 0 && i < RW_ARRAY_SIZE(generated_files); i++) {
        status = make_file(root, generated_files[i].name, generated_files[i].content, err);
    }
    return status;
}

static int build_dev(int system, int root, struct rw_error *err)
{
    if (make_folder(root, "dev", 0755, err) < 0 || make_folder(root, "dev/shm", 0755, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(devices); i++) {
        RW_AUTO_FREE char *name = rw_xasprintf("dev/%s", devices[i]);
        /* Read-only is about the node; the device itself stays writable. */
        if (make_file(root, name, "", err) < 0 ||
            bind_tree(system, name, root, name, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(device_links); i++) {
        if (make_link(root, device_links[i].target, device_links[i].name, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Two of them: the code's, where init is hidden, and init's own, which is in no tree and hides nobody (a process can make itself
 * impossible to trace, and thereby invisible in the first). */
static int build_proc(int root, int *ret_proc_fd, struct rw_error *err)
{
    enum { ATTRIBUTES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
    static const char *const options[][2] = {{"subset", "pid"}, {"hidepid", "ptraceable"}};
    RW_AUTO_FD int codes = mount_new("proc", options, 2, ATTRIBUTES, err);
    RW_AUTO_FD int inits = codes < 0 ? -1 : mount_new("proc", options, 1, ATTRIBUTES, err);
    if (inits < 0) {
        return rw_error_wrap(err, "no fresh /proc (in a container its own must be unmasked: procMount Unmasked)");
    }
    if (make_folder(root, "proc", 0555, err) < 0 || attach(codes, root, "proc", err) < 0) {
        return -1;
    }
    *ret_proc_fd = rw_take_fd(&inits);
    return 0;
}

/* One tmpfs, so that one size bounds all that the code writes; it is reached through three folders and by no other path. */
static int build_scratch(int root, int *ret_scratch_fs, struct rw_error *err)
{
    static const char *const options[][2] = {{"mode", "0755"}, {"size", "1m"}, {"nr_inodes", "1024"}};
    static const struct {
        const char *name;
        const char *from;
        mode_t mode;
        bool is_codes; /* belongs to the code */
    } folders[] = {
        {"box", "scratch/box", 0755, true}, {"tmp", "scratch/tmp", 01777, false}, {"dev/shm", "scratch/shm", 01777, false}};
    RW_AUTO_FD int scratch = mount_new("tmpfs", options, RW_ARRAY_SIZE(options), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
    if (scratch < 0 || make_folder(root, "scratch", 0755, err) < 0 || attach(scratch, root, "scratch", err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(folders); i++) {
        if (make_folder(root, folders[i].from, folders[i].mode, err) < 0 ||
            (strcmp(folders[i].name, "dev/shm") != 0 && make_folder(root, folders[i].name, 0755, err) < 0) ||
            bind_tree(root, folders[i].from, root, folders[i].name, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err) < 0) {
            return -1;
        }
        if (folders[i].is_codes && fchownat(root, folders[i].from, SANDBOX_UID, SANDBOX_GID, 0) < 0) {
            return rw_fail_sys(err, INTERNAL, errno, "giving /%s to the code", folders[i].name);
        }
    }
    *ret_scratch_fs = fspick(scratch, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
    if (*ret_scratch_fs < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "fspick");
    }
    return 0;
}

static int enter(int root, struct rw_error *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
    /* Old root stacked upon the new one, then taken off: no folder for it is needed. */
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "pivot_root");
    }
    if (umount2("/scratch", MNT_DETACH) < 0 || rmdir("/scratch") < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "hiding /scratch");
    }
    if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "making / read-only");
    }
    return 0;
}

int rootfs_build(struct rootfs *ret_rootfs, struct rw_error *err)
{
    static const char *const options[][2] = {{"mode", "0755"}, {"size", "1m"}, {"nr_inodes", "1024"}};
    RW_AUTO_FD int scratch_fs = -1;
    RW_AUTO_FD int proc_fd = -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "making mounts private");
    }
    RW_AUTO_FD int system = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    RW_AUTO_FD int root = mount_new("tmpfs", options, RW_ARRAY_SIZE(options), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
    if (root < 0 || attach(root, system, ".", err) < 0 || make_folder(root, "usr", 0755, err) < 0 ||
        bind_tree(system, "usr", root, "usr", ATTR_READ_ONLY, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(system_folders); i++) {
        if (take_over(system, root, system_folders[i], err) < 0) {
            return -1;
        }
    }
    if (build_etc(system, root, err) < 0 || build_dev(system, root, err) < 0 || build_proc(root, &proc_fd, err) < 0 ||
        build_scratch(root, &scratch_fs, err) < 0 || enter(root, err) < 0) {
        return -1;
    }
    RW_AUTO_FD int work_fd = open(SANDBOX_WORK_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (work_fd < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "opening " SANDBOX_WORK_FOLDER);
    }
    *ret_rootfs = (struct rootfs){
        .work_fd = rw_take_fd(&work_fd), .proc_fd = rw_take_fd(&proc_fd), .scratch_fs = rw_take_fd(&scratch_fs)};
    return 0;
}

int rootfs_limit_disk(const struct rootfs *rootfs, uint64_t disk_bytes, struct rw_error *err)
{
    struct statvfs used;
    if (fstatvfs(rootfs->work_fd, &used) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "fstatvfs");
    }
    uint64_t used_bytes = (used.f_blocks - used.f_bfree) * used.f_frsize;
    uint64_t used_inodes = used.f_files - used.f_ffree;
    uint64_t bytes = disk_bytes > used_bytes ? disk_bytes : used_bytes;
    uint64_t inodes = SCRATCH_INODES_MIN + bytes / used.f_frsize;
    inodes = inodes > SCRATCH_INODES_MAX ? SCRATCH_INODES_MAX : inodes;
    inodes = inodes < used_inodes ? used_inodes : inodes;
    char bytes_text[24];
    char inodes_text[24];
    (void)snprintf(bytes_text, sizeof(bytes_text), "%llu", (unsigned long long)bytes);
    (void)snprintf(inodes_text, sizeof(inodes_text), "%llu", (unsigned long long)inodes);
    if (fsconfig(rootfs->scratch_fs, FSCONFIG_SET_STRING, "size", bytes_text, 0) < 0 ||
        fsconfig(rootfs->scratch_fs, FSCONFIG_SET_STRING, "nr_inodes", inodes_text, 0) < 0 ||
        fsconfig(rootfs->scratch_fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "limiting the work folder to %s bytes", bytes_text);
    }
    return 0;
}
