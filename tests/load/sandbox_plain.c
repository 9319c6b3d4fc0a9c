/* The yardstick: fork and exec of a program that says the monotonic clock first, again and again. plain ROUNDS PROGRAM ARGUMENT...
 * prints the microseconds of each round from the fork to the program's first act. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t us(const struct timespec *at)
{
    return (int64_t)at->tv_sec * 1000000 + at->tv_nsec / 1000;
}

static int one_round(char **argv)
{
    int ends[2];
    struct timespec begun;
    struct timespec stamped;
    if (pipe(ends) < 0) {
        return -1;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    (void)close(ends[1]);
    int status = read(ends[0], &stamped, sizeof(stamped)) == (ssize_t)sizeof(stamped) ? 0 : -1;
    (void)close(ends[0]);
    (void)waitpid(pid, NULL, 0);
    return status < 0 ? -1 : printf("%" PRId64 "\n", us(&stamped) - us(&begun));
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[1]) : 0;
    for (int i = 0; i < rounds; i++) {
        if (one_round(argv + 2) < 0) {
            return EXIT_FAILURE;
        }
    }
    return rounds > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
