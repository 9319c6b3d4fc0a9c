/* The backends under test, one line each, and what their files share. */
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rw/auto.h>

#include "conformance.h"

static const struct subject *const subjects[] = {
    &subject_docker,
    &subject_kubernetes,
    &subject_local,
};

const struct subject *subject_find(const char *backend)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(subjects); i++) {
        if (strcmp(subjects[i]->backend, backend) == 0) {
            return subjects[i];
        }
    }
    return NULL;
}

int subject_run(const char *const *argv)
{
    posix_spawn_file_actions_t files;
    pid_t pid = 0;
    int status = -1;
    (void)posix_spawn_file_actions_init(&files);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        (void)posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    }
    int failed = posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    if (failed || waitpid(pid, &status, 0) != pid) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
