/* Reading /proc of a sandbox. Sizes are bounded; a process that ends while it is read is left out. */
#include "process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rw/auto.h>

enum { FILE_BYTES_MAX = 4096 };

/* Fields of /proc/PID/stat, counted from 1 as in proc(5). */
enum {
    FIELD_PARENT = 4,
    FIELD_UTIME = 14,
    FIELD_STIME = 15,
    FIELD_CUTIME = 16,
    FIELD_CSTIME = 17,
    FIELD_THREADS = 20,
    FIELD_RSS = 24,
};

void process_table_done(struct process_table *table)
{
    free(table->processes);
    *table = (struct process_table){0};
}

bool process_parse_stat(const char *text, struct process *ret_process)
{
    /* The name is the program's to choose, parentheses and all: the last one ends it. */
    const char *rest = strrchr(text, ')');
    if (!rest || rest[1] != ' ' || rest[2] == '\0' || rest[3] != ' ') {
        return false;
    }
    uint64_t fields[FIELD_RSS + 1] = {0};
    char *next;
    rest += 4;
    for (int field = FIELD_PARENT; field <= FIELD_RSS; field++, rest = next) {
        fields[field] = (uint64_t)strtoll(rest, &next, 10);
        if (next == rest) {
            return false;
        }
    }
    *ret_process = (struct process){
        .pid = (pid_t)strtol(text, NULL, 10),
        .parent = (pid_t)fields[FIELD_PARENT],
        .user_ticks = fields[FIELD_UTIME] + fields[FIELD_CUTIME],
        .system_ticks = fields[FIELD_STIME] + fields[FIELD_CSTIME],
        .threads = fields[FIELD_THREADS],
        .resident_bytes = fields[FIELD_RSS] * (uint64_t)sysconf(_SC_PAGESIZE),
    };
    return true;
}

static bool read_file(int proc_fd, const char *pid, const char *name, char text[static FILE_BYTES_MAX])
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%.20s/%s", pid, name);
    RW_AUTO_FD int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, FILE_BYTES_MAX - 1);
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    return true;
}

bool process_read(int proc_fd, pid_t pid, struct process *ret_process)
{
    char text[FILE_BYTES_MAX];
    char name[16];
    (void)snprintf(name, sizeof(name), "%d", pid);
    return read_file(proc_fd, name, "stat", text) && process_parse_stat(text, ret_process);
}

static void keep_descendants(struct process_table *table, pid_t self)
{
    /* The marked ones gather at the front; each turn takes those whose parent is self or marked, until none is added. */
    size_t n_marked = 0;
    for (size_t before = SIZE_MAX; before != n_marked;) {
        before = n_marked;
        for (size_t i = n_marked; i < table->n; i++) {
            bool is_descendant = table->processes[i].parent == self;
            for (size_t j = 0; j < n_marked && !is_descendant; j++) {
                is_descendant = table->processes[i].parent == table->processes[j].pid;
            }
            if (is_descendant) {
                struct process found = table->processes[i];
                table->processes[i] = table->processes[n_marked];
                table->processes[n_marked++] = found;
            }
        }
    }
    table->n = n_marked;
}

void process_table_read(int proc_fd, pid_t self, bool only_descendants, struct process_table *table)
{
    if (!table->processes) {
        table->processes = rw_xcalloc(PROCESS_TABLE_MAX, sizeof(*table->processes));
    }
    table->n = 0;
    int dir_fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
    if (!dir) {
        return;
    }
    char text[FILE_BYTES_MAX];
    for (struct dirent *entry; table->n < PROCESS_TABLE_MAX && (entry = readdir(dir));) {
        struct process process;
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && read_file(proc_fd, entry->d_name, "stat", text) &&
            process_parse_stat(text, &process) && process.pid != self) {
            table->processes[table->n++] = process;
        }
    }
    (void)closedir(dir);
    if (only_descendants) {
        keep_descendants(table, self);
    }
}

static uint64_t proportional_bytes(int proc_fd, const struct process *process)
{
    char text[FILE_BYTES_MAX];
    char pid[16];
    (void)snprintf(pid, sizeof(pid), "%d", process->pid);
    const char *line = read_file(proc_fd, pid, "smaps_rollup", text) ? strstr(text, "\nPss:") : NULL;
    return line ? strtoull(line + strlen("\nPss:"), NULL, 10) * 1024 : process->resident_bytes;
}

void process_table_usage(int proc_fd, const struct process_table *table, uint64_t exact_above, struct rw_usage *ret_usage)
{
    uint64_t tick_us = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    struct rw_usage usage = {0};
    for (size_t i = 0; i < table->n; i++) {
        const struct process *process = &table->processes[i];
        usage.cpu_user_us += process->user_ticks * tick_us;
        usage.cpu_system_us += process->system_ticks * tick_us;
        usage.processes += process->threads;
        usage.memory_bytes += process->resident_bytes;
    }
    if (usage.memory_bytes > exact_above && table->n > 1) {
        usage.memory_bytes = 0;
        for (size_t i = 0; i < table->n; i++) {
            usage.memory_bytes += proportional_bytes(proc_fd, &table->processes[i]);
        }
    }
    *ret_usage = usage;
}
