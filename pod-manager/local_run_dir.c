/* The folder of the local backend: its lock, the pods' records, blocks of user ids, and what an earlier instance has left there.
 *
 * A record outlives a killed pod-manager, so the next one can tell runners that still finish a job (they keep their user ids and
 * their control group until they end) from those that are gone (whose leftovers are swept). Only names made by this program are
 * touched. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <utlist.h>

#include <rw/auto.h>
#include <rw/clock.h>

#include "local.h"

enum {
    ORPHAN_LIFE_MS = 3600 * 1000, /* as long as a lease may last */
    ORPHANS_PERIOD_MS = 500,
    RECORD_BYTES = 512,
};

static const char socket_suffix[] = ".sock";
static const char record_suffix[] = ".pod";

static void record_name(const char *pod_name, char out[static BACKEND_NAME_BYTES + 8])
{
    (void)snprintf(out, BACKEND_NAME_BYTES + 8, "%s%s", pod_name, record_suffix);
}

/* Of a living process, in the kernel's ticks since boot: with the process id it names a process for good. 0: there is none. */
static uint64_t start_time_of(pid_t pid)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    RW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    const char *rest = strrchr(text, ')'); /* the name before it may hold anything */
    char state = 0;
    unsigned long long start_time = 0;
    if (!rest || sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state,
                        &start_time) != 2) {
        return 0;
    }
    return state == 'Z' || state == 'X' ? 0 : start_time;
}

static int make_folder(struct local *local, struct rw_error *err)
{
    const char *given = local->config->run_dir;
    if (mkdir(given, 0700) && errno != EEXIST) {
        return rw_fail_sys(err, CONFIG, errno, "local.run_dir: make %s", given);
    }
    local->run_dir = realpath(given, NULL);
    if (!local->run_dir) {
        return rw_fail_sys(err, CONFIG, errno, "local.run_dir: %s", given);
    }
    size_t len_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 - LOCAL_SOCKET_NAME_BYTES;
    if (strlen(local->run_dir) > len_max) {
        return rw_fail(err, CONFIG, "local.run_dir: %s has %zu bytes, but a unix socket's path leaves room for %zu", local->run_dir,
                       strlen(local->run_dir), len_max);
    }
    local->run_dir_fd = open(local->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (local->run_dir_fd < 0 || fstat(local->run_dir_fd, &status)) {
        return rw_fail_sys(err, CONFIG, errno, "local.run_dir: open %s", local->run_dir);
    }
    if (status.st_uid != geteuid()) {
        return rw_fail(err, CONFIG, "local.run_dir: %s belongs to another user", local->run_dir);
    }
    if (fchmod(local->run_dir_fd, 0700)) {
        return rw_fail_sys(err, CONFIG, errno, "local.run_dir: chmod %s", local->run_dir);
    }
    return 0;
}

int local_run_dir_open(struct local *local, struct rw_error *err)
{
    if (make_folder(local, err)) {
        return -1;
    }
    local->lock_fd = openat(local->run_dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (local->lock_fd < 0) {
        return rw_fail_sys(err, CONFIG, errno, "local.run_dir: make %s/lock", local->run_dir);
    }
    if (flock(local->lock_fd, LOCK_EX | LOCK_NB)) {
        return rw_fail(err, CONFIG, "local.run_dir: %s is in use by another pod-manager", local->run_dir);
    }
    return 0;
}

void local_run_dir_close(struct local *local)
{
    struct local_orphan *orphan = NULL;
    struct local_orphan *next = NULL;
    DL_FOREACH_SAFE(local->orphans, orphan, next)
    { /* their records stay, for the next instance */
        DL_DELETE(local->orphans, orphan);
        free(orphan);
    }
    if (local->run_dir_fd >= 0) {
        (void)close(local->run_dir_fd);
    }
    if (local->lock_fd >= 0) {
        (void)close(local->lock_fd);
    }
    free(local->run_dir);
}

int local_record_write(struct local *local, const struct local_pod *pod, struct rw_error *err)
{
    char name[BACKEND_NAME_BYTES + 8];
    char text[RECORD_BYTES];
    record_name(pod->name, name);
    int len = snprintf(text, sizeof(text), "%d %llu %d %s\n", (int)pod->pid, (unsigned long long)start_time_of(pod->pid),
                       pod->block, pod->cgroup[0] ? pod->cgroup : "-");
    RW_AUTO_FD int fd = openat(local->run_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, (size_t)len) != len) {
        return rw_fail_sys(err, IO, errno, "write %s/%s", local->run_dir, name);
    }
    return 0;
}

void local_record_remove(struct local *local, const char *pod_name)
{
    char name[BACKEND_NAME_BYTES + 8];
    record_name(pod_name, name);
    (void)unlinkat(local->run_dir_fd, name, 0);
}

int local_block_take(struct local *local, struct rw_error *err)
{
    for (int i = 0; i < local->n_blocks; i++) {
        int block = (local->next_block + i) % local->n_blocks;
        if (!local->blocks[block]) {
            local->blocks[block] = true;
            local->next_block = block + 1; /* not the one that was given back last */
            return block;
        }
    }
    return rw_fail(err, UNAVAILABLE, "all %d blocks of user ids are in use", local->n_blocks);
}

void local_block_give(struct local *local, int block)
{
    if (block >= 0) {
        local->blocks[block] = false;
    }
}

static void forget(struct local_orphan *orphan)
{
    struct local *local = orphan->local;
    DL_DELETE(local->orphans, orphan);
    local_record_remove(local, orphan->name);
    local_block_give(local, orphan->block);
    free(orphan);
}

static void on_swept(void *arg, const struct local_said *said)
{
    (void)said; /* a sweep that failed was told; trying again would not help */
    forget(arg);
}

/* Its process is gone. The record goes last: if we are killed in between, the next instance sweeps again. */
static void sweep_orphan(struct local_orphan *orphan)
{
    if (orphan->cgroup[0]) {
        orphan->is_sweeping = true;
        local_helper_sweep(orphan->local, orphan->cgroup, on_swept, orphan);
    } else {
        forget(orphan);
    }
}

/* The record of a pod; false when it is none of ours, or damaged. */
static bool read_record(struct local *local, const char *file_name, struct local_orphan *ret_orphan)
{
    char text[RECORD_BYTES] = "";
    RW_AUTO_FD int fd = openat(local->run_dir_fd, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) {
        return false;
    }
    int pid = 0;
    int block = 0;
    unsigned long long start_time = 0;
    char cgroup[LOCAL_CGROUP_BYTES] = "";
    if (sscanf(text, "%d %llu %d %199s", &pid, &start_time, &block, cgroup) != 4) {
        return false;
    }
    *ret_orphan = (struct local_orphan){.pid = pid, .start_time = start_time, .block = block < local->n_blocks ? block : -1};
    (void)snprintf(ret_orphan->name, sizeof(ret_orphan->name), "%.*s", (int)(strlen(file_name) - strlen(record_suffix)), file_name);
    (void)snprintf(ret_orphan->cgroup, sizeof(ret_orphan->cgroup), "%s", strcmp(cgroup, "-") ? cgroup : "");
    return true;
}

static bool is_running(const struct local_orphan *orphan)
{
    return orphan->start_time > 0 && start_time_of(orphan->pid) == orphan->start_time;
}

static void sweep_record(struct local *local, const char *file_name)
{
    struct local_orphan found;
    if (!read_record(local, file_name, &found)) {
        (void)unlinkat(local->run_dir_fd, file_name, 0);
        return;
    }
    struct local_orphan *orphan = rw_xmemdup(&found, sizeof(found));
    orphan->local = local;
    orphan->kill_at_ms = rw_monotonic_ms() + ORPHAN_LIFE_MS;
    if (orphan->block >= 0) {
        local->blocks[orphan->block] = true;
    }
    DL_APPEND(local->orphans, orphan);
    if (!is_running(orphan)) {
        sweep_orphan(orphan);
    }
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name);
    return len > strlen(suffix) && strcmp(name + len - strlen(suffix), suffix) == 0;
}

void local_run_dir_sweep(struct local *local)
{
    DIR *folder = opendir(local->run_dir);
    if (!folder) {
        return;
    }
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (ends_with(entry->d_name, socket_suffix)) {
            (void)unlinkat(local->run_dir_fd, entry->d_name, 0); /* nobody is to find an earlier instance's runners any more */
        } else if (ends_with(entry->d_name, record_suffix)) {
            sweep_record(local, entry->d_name);
        }
    }
    (void)closedir(folder);
}

void local_run_dir_tick(struct local *local, int64_t now_ms)
{
    if (!local->orphans || now_ms < local->orphans_at_ms) {
        return;
    }
    local->orphans_at_ms = now_ms + ORPHANS_PERIOD_MS;
    struct local_orphan *orphan = NULL;
    struct local_orphan *next = NULL;
    DL_FOREACH_SAFE(local->orphans, orphan, next)
    {
        bool is_alive = orphan->is_sweeping || is_running(orphan);
        if (!is_alive) {
            sweep_orphan(orphan);
        } else if (!orphan->is_sweeping && now_ms >= orphan->kill_at_ms) {
            (void)kill(orphan->pid, SIGKILL);
        }
    }
}
