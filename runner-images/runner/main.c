/* runwave-runner: what runs inside a pod.
 *
 * Theory of operation. Three processes, two sockets and some pipes:
 *
 *   scheduler ══(unix or TCP socket: the runner protocol)══ runner ──(socket pair: commands, reports, descriptors)── init ──► code
 *                                                             │                                                      ▲
 *                                                             └───────────── stdin, stdout, stderr pipes ────────────┘
 *
 * The *runner* (this program) first prepares all that does not depend on a job: a cgroup where one may be written, the system call
 * filter, the pipes, and a sandbox. It then drops its privileges, says that it is ready, and listens. Whoever connects must prove
 * to know the pod's secret; the first who does gives it the one job of its life. It counts time, memory and output, decides when to
 * kill, judges from what it saw, and sends the result. It opens no path after it is ready.
 *
 * The sandbox's *init* (the same program, cloned into fresh namespaces, process 1 there) has built the sandbox's file tree. On
 * command it writes the job's files, forks and launches the code, reaps what ends, kills what is left, and reports wait statuses.
 * When it dies, the kernel kills all of its namespace; it dies when the runner does.
 *
 * The *code* runs under another uid (or without any capability), a filter, Landlock and rlimits, in a session of its own. It holds
 * its three descriptors and nothing else, cannot see the runner, cannot touch init, and its only way out is the bytes it writes.
 *
 * That is a pod for one job. With --slots or --uses it serves many, and the program that was started is their *steward* (steward.c):
 * it keeps workers ready, each forked from it and each a runner as above, for one job.
 *
 * In restricted pods no namespace can be made: there (--sandbox container) the runner is the pod's process 1 and does init's part
 * itself. The two ways are strategies behind sandbox.h; the rest of the program does not know which it has.
 *
 * Every process is single-threaded. docs/sandbox.md says what holds against what. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rw/log.h>

#include "cgroup.h"
#include "options.h"
#include "pod.h"
#include "runner.h"
#include "steward.h"

/* So that no descriptor opened later gets a number that some library prints to. */
static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
}

static int fail(const struct rw_error *err)
{
    (void)fprintf(stderr, "runwave-runner: %s\n", err->message);
    return rw_err_exit_code(err->code);
}

int main(int argc, char **argv)
{
    struct rw_error err = {0};
    struct options options;
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* before any secret is read */
    open_standard_descriptors();
    rw_log_setup("runner", RW_LOG_INFO);
    if (options_parse(argc, argv, &options, &err) < 0) {
        return fail(&err);
    }
    switch (options.mode) {
    case OPTIONS_HELP:
        return fputs(options_help, stdout) == EOF;
    case OPTIONS_VERSION:
        return puts("runwave-runner " RUNWAVE_VERSION) == EOF;
    case OPTIONS_PROBE:
        return pod_probe(&options);
    case OPTIONS_SWEEP:
        return cgroup_sweep(options.sweep, &err) < 0 ? fail(&err) : 0;
    case OPTIONS_RUN:
        break;
    }
    return options_has_steward(&options) ? steward_run(&options) : runner_run(&options);
}
