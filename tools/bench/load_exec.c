/* Programs started bare, by posix_spawn and with nowhere to write, so that the yardstick is as short as it can be. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>

struct run { /* of one sequence of commands */
    pid_t pid;
    size_t command; /* under way */
    int64_t start_us;
    int64_t start_monotonic_us;
};

struct exec {
    const struct load_options *options;
    struct load_samples *samples;
    posix_spawn_file_actions_t actions;
    struct run *runs;
    uint64_t n_begun;
    unsigned n_running;
    int64_t began_us;
};

static void spawn(struct exec *exec, struct run *run)
{
    char **argv = exec->options->commands[run->command];
    int rc = posix_spawnp(&run->pid, argv[0], &exec->actions, NULL, argv, environ);
    if (rc != 0) {
        (void)fprintf(stderr, "%s: %s\n", argv[0], strerror(rc));
        exit(1);
    }
}

static void begin(struct exec *exec, struct run *run)
{
    run->command = 0;
    run->start_us = rw_realtime_us();
    run->start_monotonic_us = rw_monotonic_us();
    exec->n_begun++;
    exec->n_running++;
    spawn(exec, run);
}

static struct run *find(struct exec *exec, pid_t pid)
{
    for (unsigned i = 0; i < exec->options->clients; i++) {
        if (exec->runs[i].pid == pid) {
            return &exec->runs[i];
        }
    }
    return NULL;
}

static void ended(struct exec *exec, struct run *run, int status)
{
    if (status == 0 && ++run->command < exec->options->n_commands) {
        spawn(exec, run);
        return;
    }
    exec->n_running--;
    run->pid = 0;
    if (status == 0) {
        load_add(exec->samples, run->start_us, rw_monotonic_us() - run->start_monotonic_us);
    } else {
        char text[64];
        (void)snprintf(text, sizeof(text), "wait status %d", status);
        load_wrong(exec->samples, text);
    }
    if (load_goes_on(exec->options, exec->n_begun, exec->began_us)) {
        begin(exec, run);
    }
}

void load_exec(const struct load_options *options, struct load_samples *samples)
{
    struct exec exec = {.options = options, .samples = samples, .began_us = rw_monotonic_us()};
    (void)posix_spawn_file_actions_init(&exec.actions);
    (void)posix_spawn_file_actions_addopen(&exec.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&exec.actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    exec.runs = rw_xcalloc(options->clients, sizeof(*exec.runs));
    for (unsigned i = 0; i < options->clients && load_goes_on(options, exec.n_begun, exec.began_us); i++) {
        begin(&exec, &exec.runs[i]);
    }
    while (exec.n_running > 0) {
        int status = 0;
        struct rusage usage = {0};
        pid_t pid = wait4(-1, &status, 0, &usage);
        struct run *run = pid > 0 ? find(&exec, pid) : NULL;
        if (run) {
            samples->children_cpu_us += (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                                        usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
            ended(&exec, run, status);
        }
    }
    (void)posix_spawn_file_actions_destroy(&exec.actions);
    free(exec.runs);
}
