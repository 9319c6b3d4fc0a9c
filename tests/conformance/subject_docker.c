/* The docker backend under test, on the engine of DOCKER_HOST (a unix socket) or the system's, by the docker command. The
 * images are tests/compose/runner_image's. Each case has a label of its own. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <rw/auto.h>
#include <rw/random.h>

#include "conformance.h"

#define IMAGES "runwave-test/runner-{language}"

static char instance[32]; /* of the case that is running */

static const char *socket_path(void)
{
    static const char scheme[] = "unix://";
    const char *host = getenv("DOCKER_HOST");
    if (!host) {
        return "/var/run/docker.sock";
    }
    return strncmp(host, scheme, sizeof(scheme) - 1) == 0 ? host + sizeof(scheme) - 1 : NULL;
}

static const char *missing(void)
{
    struct stat status;
    if (!socket_path() || stat(socket_path(), &status) != 0) {
        return "no Docker Engine has a unix socket here (DOCKER_HOST)";
    }
    const char *const version[] = {"docker", "version", NULL};
    const char *const image[] = {
        "docker", "image", "inspect", "runwave-test/runner-python:conformance", "runwave-test/runner-python:stuck", NULL};
    if (subject_run(version) != 0) {
        return "docker: the engine does not answer";
    }
    return subject_run(image) == 0 ? NULL : "the images of tests/compose/runner_image are not there";
}

static void configure(struct manager_config *config, const char *folder)
{
    (void)snprintf(instance, sizeof(instance), "conformance-%08x", (unsigned)rw_random_below(UINT32_MAX));
    config->docker.socket = rw_xstrdup(socket_path());
    config->docker.run_dir = rw_xasprintf("%s/pods", folder);
    config->docker.instance = rw_xstrdup(instance);
    config->docker.image = rw_xstrdup(IMAGES ":conformance");
}

static void spoil(struct manager_config *config)
{
    free(config->docker.image);
    config->docker.image = rw_xstrdup(IMAGES ":stuck");
}

static void murder(const struct backend_listed *pod)
{
    RW_AUTO_FREE char *name = rw_xasprintf("%s-%s", instance, pod->pod);
    const char *const argv[] = {"docker", "kill", name, NULL};
    (void)subject_run(argv);
}

static size_t count_lines(const char *command)
{
    size_t count = 0;
    char line[512];
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): nothing of the text is anybody else's */
    while (pipe && fgets(line, sizeof(line), pipe)) {
        count++;
    }
    if (pipe) {
        (void)pclose(pipe);
    }
    return count;
}

/* Containers in any state, and the pods' folders. */
static size_t traces(const struct manager_config *config)
{
    RW_AUTO_FREE char *containers = rw_xasprintf("docker ps -aq --filter label=dev.runwave.pool=%s", instance);
    RW_AUTO_FREE char *folders = rw_xasprintf("ls -1 %s | grep -v '^lock$'", config->docker.run_dir);
    return count_lines(containers) + count_lines(folders);
}

const struct subject subject_docker = {
    .backend = "docker",
    .missing = missing,
    .configure = configure,
    .spoil = spoil,
    .murder = murder,
    .traces = traces,
};
