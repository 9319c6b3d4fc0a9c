/* The local backend under test: runwave-runner process trees of the runner in RUNWAVE_RUNNER. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <rw/auto.h>

#include "conformance.h"

static const char *runner(void)
{
    const char *path = getenv("RUNWAVE_RUNNER");
    return path ? path : "runwave-runner";
}

static const char *missing(void)
{
    const char *const argv[] = {runner(), "--probe", NULL};
    return subject_run(argv) == 0 ? NULL : "runwave-runner --probe: no sandbox can be made here";
}

static void configure(struct manager_config *config, const char *folder)
{
    config->local.run_dir = rw_xasprintf("%s/pods", folder);
    config->local.runner = rw_xstrdup(runner());
    config->local.cgroup = rw_xasprintf("runwave-test-%s", strrchr(folder, '/') + 1);
}

/* A runner that lives and says nothing. */
static void spoil(struct manager_config *config)
{
    char *path = rw_xasprintf("%s.silent", config->local.run_dir);
    FILE *script = fopen(path, "w");
    if (script) {
        (void)fputs("#!/bin/sh\ncase $1 in --probe|--sweep-cgroup) exit 0 ;; esac\nexec sleep 60\n", script);
        (void)fclose(script);
        (void)chmod(path, 0700);
    }
    free(config->local.runner);
    config->local.runner = path;
}

static void murder(const struct backend_listed *pod)
{
    (void)kill((pid_t)pod->process, SIGKILL);
}

/* Processes that have the name of a pod of this run_dir's instance in their arguments, sockets and records. */
static size_t count_files(const char *folder, const char *suffix)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        count += len > strlen(suffix) && strcmp(entry->d_name + len - strlen(suffix), suffix) == 0;
    }
    if (dir) {
        (void)closedir(dir);
    }
    return count;
}

static bool is_runner_of(const char *pid, const char *cgroup)
{
    char path[300];
    char text[4096];
    (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
    FILE *file = fopen(path, "r");
    if (!file) {
        return false;
    }
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    return memmem(text, len, cgroup, strlen(cgroup)) != NULL;
}

static size_t traces(const struct manager_config *config)
{
    size_t count = count_files(config->local.run_dir, ".sock") + count_files(config->local.run_dir, ".pod");
    RW_AUTO_FREE char *cgroup = rw_xasprintf("%s/", config->local.cgroup);
    DIR *dir = opendir("/proc");
    for (const struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_runner_of(entry->d_name, cgroup);
    }
    if (dir) {
        (void)closedir(dir);
    }
    return count;
}

const struct subject subject_local = {
    .backend = "local",
    .missing = missing,
    .configure = configure,
    .spoil = spoil,
    .murder = murder,
    .traces = traces,
};
