/* Cgroups of version 2 and 1. The two differ by names of files and by how controllers are switched on; a table holds the names. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rw/auto.h>

enum {
    TEXT_BYTES_MAX = 64 * 1024,
    MAKE_TRIES = 50,
    REMOVE_TRIES = 500,
    REMOVE_PAUSE_US = 2000,
    SWEEP_ROUNDS = 500,
    SWEEP_DEPTH_MAX = 4,
    SOCKETS_DIVISOR = 4,
};

static const struct {
    enum cgroup_controller controller;
    const char *name[3]; /* by version; NULL: has no such file */
} file_names[_CGROUP_FILE_MAX] = {
    [CGROUP_FILE_PROCS] = {_CGROUP_CONTROLLER_MAX, {NULL, NULL, NULL}}, /* one a folder */
    [CGROUP_FILE_MEMORY_MAX] = {CGROUP_MEMORY, {NULL, "memory.limit_in_bytes", "memory.max"}},
    [CGROUP_FILE_SWAP_MAX] = {CGROUP_MEMORY, {NULL, "memory.memsw.limit_in_bytes", "memory.swap.max"}},
    [CGROUP_FILE_SOCKETS_MAX] = {CGROUP_MEMORY, {NULL, "memory.kmem.tcp.limit_in_bytes", NULL}},
    [CGROUP_FILE_MEMORY_PEAK] = {CGROUP_MEMORY, {NULL, "memory.max_usage_in_bytes", "memory.peak"}},
    [CGROUP_FILE_MEMORY_EVENTS] = {CGROUP_MEMORY, {NULL, "memory.oom_control", "memory.events"}},
    [CGROUP_FILE_PIDS_MAX] = {CGROUP_PIDS, {NULL, "pids.max", "pids.max"}},
    [CGROUP_FILE_PIDS_NOW] = {CGROUP_PIDS, {NULL, "pids.current", "pids.current"}},
    [CGROUP_FILE_PIDS_PEAK] = {CGROUP_PIDS, {NULL, "pids.peak", "pids.peak"}},
    [CGROUP_FILE_CPU] = {CGROUP_CPU, {NULL, "cpuacct.usage", "cpu.stat"}},
};

/* A whole small file; owned by the caller, "" when it cannot be read. */
static char *read_text(const char *path)
{
    char *text = rw_xcalloc(1, TEXT_BYTES_MAX);
    RW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    for (ssize_t n; fd >= 0 && len < TEXT_BYTES_MAX - 1 && (n = read(fd, text + len, TEXT_BYTES_MAX - 1 - len)) > 0;) {
        len += (size_t)n;
    }
    return text;
}

static bool write_text(const char *folder, const char *name, const char *text)
{
    RW_AUTO_FREE char *path = rw_xasprintf("%s/%s", folder, name);
    RW_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static unsigned find_places(struct cgroup_place places[static CGROUP_PLACES_MAX])
{
    RW_AUTO_FREE char *mountinfo = read_text("/proc/self/mountinfo");
    RW_AUTO_FREE char *self = read_text("/proc/self/cgroup");
    return cgroup_places_parse(mountinfo, self, places);
}

/* ---- version 2: where children get the controllers ---- */

static bool children_have_controllers(const char *folder)
{
    RW_AUTO_FREE char *path = rw_xasprintf("%s/cgroup.subtree_control", folder);
    RW_AUTO_FREE char *enabled = read_text(path);
    return strstr(enabled, "memory") && strstr(enabled, "pids");
}

/* A folder with processes cannot give controllers to its children, except the root. Alone in a container the runner steps aside
 * into a folder of its own. */
static bool enable_controllers(const char *folder)
{
    if (write_text(folder, "cgroup.subtree_control", "+memory +pids")) {
        return true;
    }
    if (errno != EBUSY || getpid() != 1) {
        return false;
    }
    RW_AUTO_FREE char *aside = rw_xasprintf("%s/runwave-runner", folder);
    return (mkdir(aside, 0755) == 0 || errno == EEXIST) && write_text(aside, "cgroup.procs", "0") &&
           write_text(folder, "cgroup.subtree_control", "+memory +pids");
}

/* The nearest folder, this process's own or above, whose children get the controllers; false when there is none. */
static bool find_delegated(struct cgroup_place *place)
{
    if (children_have_controllers(place->base) || enable_controllers(place->base)) {
        return true;
    }
    while (strlen(place->base) > strlen(place->mount)) {
        *strrchr(place->base, '/') = '\0';
        if (children_have_controllers(place->base)) {
            return true;
        }
    }
    return false;
}

/* ---- making ---- */

/* mkdir -p of base/name; each level on the way passes the controllers on (version 2). */
static int try_folders(const struct cgroup_place *place, const char *name, char path[static PATH_MAX])
{
    int len = snprintf(path, PATH_MAX, "%s", place->base);
    RW_AUTO_FREE char *parts = rw_xstrdup(name);
    char *next = NULL;
    for (char *part = strtok_r(parts, "/", &next); part; part = strtok_r(NULL, "/", &next)) {
        if (place->version == 2 && !children_have_controllers(path) &&
            !write_text(path, "cgroup.subtree_control", "+memory +pids")) {
            return -1;
        }
        if (len + 1 + (int)strlen(part) >= PATH_MAX) {
            return -1;
        }
        len += snprintf(path + len, (size_t)(PATH_MAX - len), "/%s", part);
        if (mkdir(path, 0755) < 0 && errno != EEXIST) {
            return -1;
        }
    }
    return 0;
}

/* Another runner may just be removing a folder above, empty for a moment: then once more. */
static int make_folders(const struct cgroup_place *place, const char *name, char path[static PATH_MAX])
{
    int status = -1;
    for (int i = 0; i < MAKE_TRIES && status < 0; i++) {
        status = try_folders(place, name, path);
        if (status < 0 && errno != ENOENT) {
            return -1;
        }
    }
    return status;
}

static void open_files(struct cgroup *cgroup, const struct cgroup_folder *folder, const char *path, int version)
{
    for (int file = 0; file < _CGROUP_FILE_MAX; file++) {
        const char *name = file_names[file].name[version];
        if (!name || cgroup->files[file] >= 0 || !(folder->controllers & (1U << file_names[file].controller))) {
            continue;
        }
        RW_AUTO_FREE char *file_path = rw_xasprintf("%s/%s", path, name);
        int fd = open(file_path, O_RDWR | O_CLOEXEC);
        cgroup->files[file] = fd >= 0 ? fd : open(file_path, O_RDONLY | O_CLOEXEC);
    }
}

static void use_place(struct cgroup *cgroup, struct cgroup_place *place, const char *name)
{
    char path[PATH_MAX];
    struct cgroup_folder *folder = &cgroup->folders[cgroup->n_folders];
    if ((place->controllers & ~cgroup->controllers) == 0 || (place->version == 2 && !find_delegated(place)) ||
        make_folders(place, name, path) < 0) {
        return;
    }
    RW_AUTO_FREE char *procs = rw_xasprintf("%s/cgroup.procs", path);
    folder->procs_fd = open(procs, O_WRONLY | O_CLOEXEC);
    folder->base_fd = open(place->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder->procs_fd < 0 || folder->base_fd < 0) {
        (void)rmdir(path);
        return;
    }
    (void)snprintf(folder->name, sizeof(folder->name), "%s", name);
    folder->controllers = place->controllers & ~cgroup->controllers;
    cgroup->controllers |= folder->controllers;
    cgroup->version = place->version;
    cgroup->n_folders++;
    open_files(cgroup, folder, path, place->version);
}

static int compare_versions(const void *a, const void *b)
{
    return ((const struct cgroup_place *)b)->version - ((const struct cgroup_place *)a)->version;
}

int cgroup_create(const char *name, struct cgroup *ret_cgroup, struct rw_error *err)
{
    struct cgroup_place places[CGROUP_PLACES_MAX] = {0};
    if (cgroup_name_check(name, err) < 0) {
        return -1;
    }
    unsigned n = find_places(places);
    qsort(places, n, sizeof(places[0]), compare_versions);
    *ret_cgroup = (struct cgroup){0};
    for (int i = 0; i < _CGROUP_FILE_MAX; i++) {
        ret_cgroup->files[i] = -1;
    }
    for (unsigned i = 0; i < n; i++) {
        use_place(ret_cgroup, &places[i], name);
    }
    if (ret_cgroup->n_folders == 0) {
        return rw_fail(err, UNSUPPORTED, "no cgroup hierarchy is writable here");
    }
    return 0;
}

int cgroup_attach(const struct cgroup *cgroup, pid_t pid, struct rw_error *err)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", pid);
    for (unsigned i = 0; i < cgroup->n_folders; i++) {
        if (write(cgroup->folders[i].procs_fd, text, (size_t)len) != len) {
            return rw_fail_sys(err, UNSUPPORTED, errno, "joining the cgroup %s", cgroup->folders[i].name);
        }
    }
    return 0;
}

/* ---- limits and readings ---- */

static bool write_number(int fd, uint64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return fd >= 0 && pwrite(fd, text, (size_t)len, 0) == len;
}

int cgroup_limit(const struct cgroup *cgroup, uint64_t memory_bytes, uint64_t processes, struct rw_error *err)
{
    const int *files = cgroup->files;
    if (cgroup_has(cgroup, CGROUP_MEMORY)) {
        /* Swap: version 1 counts memory and swap together and wants that limit never below the other, so it is tried on both sides;
         * version 2 counts it alone. Without swap accounting there is no such file. */
        uint64_t swap_bytes = cgroup->version == 1 ? memory_bytes : 0;
        (void)write_number(files[CGROUP_FILE_SWAP_MAX], swap_bytes);
        if (!write_number(files[CGROUP_FILE_MEMORY_MAX], memory_bytes)) {
            return rw_fail_sys(err, INTERNAL, errno, "limiting memory to %llu bytes", (unsigned long long)memory_bytes);
        }
        (void)write_number(files[CGROUP_FILE_SWAP_MAX], swap_bytes);
        /* What lies in sockets is counted by version 1 on its own, by version 2 with the rest; the machine has one bound for all. */
        (void)write_number(files[CGROUP_FILE_SOCKETS_MAX], memory_bytes / SOCKETS_DIVISOR);
        (void)write_number(files[CGROUP_FILE_MEMORY_PEAK], 0);
    }
    /* One more for the sandbox's init, which lives in the same group. */
    if (cgroup_has(cgroup, CGROUP_PIDS) && !write_number(files[CGROUP_FILE_PIDS_MAX], processes + 1)) {
        return rw_fail_sys(err, INTERNAL, errno, "limiting processes to %llu", (unsigned long long)processes);
    }
    return 0;
}

/* The number after `key` at the start of a line, or the number the file starts with when key is "". */
static uint64_t read_number(int fd, const char *key)
{
    char text[4096];
    ssize_t len = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    size_t key_len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, key_len) == 0) {
            return strtoull(line + key_len, NULL, 10);
        }
    }
    return 0;
}

void cgroup_read(const struct cgroup *cgroup, struct cgroup_reading *ret_reading)
{
    const int *files = cgroup->files;
    bool is_v1 = cgroup->version == 1;
    uint64_t per_us = is_v1 ? 1000 : 1; /* nanoseconds there, microseconds here */
    uint64_t now = read_number(files[CGROUP_FILE_PIDS_NOW], "");
    uint64_t peak = read_number(files[CGROUP_FILE_PIDS_PEAK], "");
    *ret_reading = (struct cgroup_reading){
        .cpu_us = read_number(files[CGROUP_FILE_CPU], is_v1 ? "" : "usage_usec ") / per_us,
        .memory_peak_bytes = read_number(files[CGROUP_FILE_MEMORY_PEAK], ""),
        .oom_kills = read_number(files[CGROUP_FILE_MEMORY_EVENTS], "oom_kill "),
        .processes = now > 0 ? now - 1 : 0, /* less init */
        .processes_peak = peak > 0 ? peak - 1 : 0,
    };
}

/* ---- removing ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(rw_take_fd(fd));
    }
}

/* A folder can be removed once the kernel is through with its last process, some milliseconds after it was reaped. The folders
 * above it, which other runners may share, go with the last one. */
static bool remove_folders(int base_fd, const char *name)
{
    RW_AUTO_FREE char *path = rw_xstrdup(name);
    bool is_removed = false;
    for (int i = 0; i < REMOVE_TRIES && !is_removed; i++) {
        is_removed = unlinkat(base_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT;
        if (!is_removed) {
            (void)usleep(REMOVE_PAUSE_US);
        }
    }
    for (char *slash; is_removed && (slash = strrchr(path, '/'));) {
        *slash = '\0';
        (void)unlinkat(base_fd, path, AT_REMOVEDIR);
    }
    return is_removed;
}

void cgroup_remove(struct cgroup *cgroup)
{
    for (int i = 0; i < _CGROUP_FILE_MAX; i++) {
        close_fd(&cgroup->files[i]);
    }
    for (unsigned i = 0; i < cgroup->n_folders; i++) {
        (void)remove_folders(cgroup->folders[i].base_fd, cgroup->folders[i].name);
        close_fd(&cgroup->folders[i].procs_fd);
        close_fd(&cgroup->folders[i].base_fd);
    }
    cgroup->n_folders = 0;
    cgroup->controllers = 0;
}

/* Kill every process listed, as often as it takes: a forking one may be missed once. */
static void kill_listed(int folder_fd)
{
    RW_AUTO_FREE char *path = rw_xasprintf("/proc/self/fd/%d/cgroup.procs", folder_fd);
    for (int round = 0; round < SWEEP_ROUNDS; round++) {
        RW_AUTO_FREE char *list = read_text(path);
        char *next = list;
        for (long pid; (pid = strtol(next, &next, 10)) > 0;) {
            (void)kill((pid_t)pid, SIGKILL);
        }
        if (list[0] == '\0') {
            return;
        }
        (void)usleep(REMOVE_PAUSE_US);
    }
}

/* With the folders beneath it: a pod that serves many jobs has one for each. */
static int sweep_folder(int parent_fd, const char *name, int depth, struct rw_error *err)
{
    RW_AUTO_FD int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    int status = 0;
    if (!folder) {
        return 0; /* was not made there, or is gone */
    }
    for (const struct dirent *entry; status == 0 && depth < SWEEP_DEPTH_MAX && (entry = readdir(folder));) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            status = sweep_folder(fd, entry->d_name, depth + 1, err);
        }
    }
    (void)closedir(folder);
    if (status == 0) {
        kill_listed(fd);
        status = remove_folders(parent_fd, name) ? 0 : rw_fail_sys(err, INTERNAL, errno, "removing the cgroup %s", name);
    }
    return status;
}

int cgroup_sweep(const char *name, struct rw_error *err)
{
    struct cgroup_place places[CGROUP_PLACES_MAX] = {0};
    if (cgroup_name_check(name, err) < 0) {
        return -1;
    }
    unsigned n = find_places(places);
    for (unsigned i = 0; i < n; i++) {
        if (places[i].version == 2 && !find_delegated(&places[i])) {
            continue;
        }
        RW_AUTO_FD int base_fd = open(places[i].base, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (base_fd >= 0 && sweep_folder(base_fd, name, 0, err) < 0) {
            return -1;
        }
    }
    return 0;
}
