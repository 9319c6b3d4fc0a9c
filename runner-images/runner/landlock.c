/* Landlock by level. The constants newer than Debian 12's kernel headers are spelled out; the kernel is told only of those its
 * own level has. */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rw/auto.h>

/* The structure as of level 6; an older kernel takes the prefix it knows. */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

enum {
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    LEVEL_NET = 4,
    LEVEL_SCOPE = 6,
};

/* Every file system right of a level: bits are handed out in order. */
static uint64_t all_of_level(int level)
{
    static const unsigned rights[] = {0, 13, 14, 15, 15, 16};
    unsigned n = level < (int)RW_ARRAY_SIZE(rights) ? rights[level] : 16;
    return (UINT64_C(1) << n) - 1;
}

enum {
    READ_ONLY = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    READ_WRITE_FILES = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE |
                       FS_IOCTL_DEV,
    EVERYTHING = -1,
};

static const struct {
    const char *path;
    int rights;
} code_rules[] = {
    {"/usr", READ_ONLY},         {"/bin", READ_ONLY},    {"/sbin", READ_ONLY}, {"/lib", READ_ONLY},      {"/lib32", READ_ONLY},
    {"/lib64", READ_ONLY},       {"/libx32", READ_ONLY}, {"/opt", READ_ONLY},  {"/etc", READ_ONLY},      {"/dev", READ_WRITE_FILES},
    {"/proc", READ_WRITE_FILES}, {"/box", EVERYTHING},   {"/tmp", EVERYTHING}, {"/dev/shm", EVERYTHING},
};

int landlock_level(void)
{
    long level = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return level < 0 ? 0 : (int)level;
}

static int ruleset_create(int level, bool has_network, bool is_scoped, struct rw_error *err)
{
    struct ruleset_attr attr = {
        .handled_access_fs = all_of_level(level),
        .handled_access_net = has_network || level < LEVEL_NET ? 0 : NET_BIND_TCP | NET_CONNECT_TCP,
        .scoped = is_scoped && level >= LEVEL_SCOPE ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0,
    };
    size_t size = level >= LEVEL_SCOPE ? sizeof(attr) : level >= LEVEL_NET ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (fd < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "landlock_create_ruleset");
    }
    return (int)fd;
}

static int allow_beneath(int ruleset_fd, int dir_fd, uint64_t rights, struct rw_error *err)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = dir_fd};
    if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "landlock_add_rule");
    }
    return 0;
}

int landlock_ruleset_for_code(bool has_network, struct rw_error *err)
{
    int level = landlock_level();
    RW_AUTO_FD int ruleset_fd = ruleset_create(level, has_network, true, err);
    if (ruleset_fd < 0) {
        return -1;
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(code_rules); i++) {
        RW_AUTO_FD int dir_fd = open(code_rules[i].path, O_PATH | O_CLOEXEC);
        if (dir_fd < 0) {
            continue; /* not every system has every folder */
        }
        uint64_t rights = all_of_level(level) & (uint64_t)(int64_t)code_rules[i].rights;
        if (allow_beneath(ruleset_fd, dir_fd, rights, err) < 0) {
            return -1;
        }
    }
    return rw_take_fd(&ruleset_fd);
}

int landlock_ruleset_for_runner(const int *dir_fds, unsigned n_dir_fds, struct rw_error *err)
{
    int level = landlock_level();
    /* Not scoped: the runner must signal the sandbox's init, which is not in this domain. */
    RW_AUTO_FD int ruleset_fd = ruleset_create(level, true, false, err);
    if (ruleset_fd < 0) {
        return -1;
    }
    for (unsigned i = 0; i < n_dir_fds; i++) {
        if (allow_beneath(ruleset_fd, dir_fds[i], all_of_level(level), err) < 0) {
            return -1;
        }
    }
    return rw_take_fd(&ruleset_fd);
}

int landlock_enter(int ruleset_fd, struct rw_error *err)
{
    if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "landlock_restrict_self");
    }
    return 0;
}
