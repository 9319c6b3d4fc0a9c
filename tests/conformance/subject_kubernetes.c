/* The kubernetes backend under test, on the cluster of RUNWAVE_TEST_KUBECONFIG (tests/cluster), by kubectl. Each case has a namespace of
 * its own, under the Pod Security level "restricted". The image of RUNWAVE_TEST_IMAGE holds nothing but /runwave-runner and is on the
 * node already: tests/cluster/runner_image makes it. */
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/random.h>

#include "conformance.h"

static char space[32]; /* the namespace of the case that is running; "": none */

static const char pod_template[] =
    "apiVersion: v1\n"
    "kind: ConfigMap\n"
    "metadata: {name: runwave-runners}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: PodTemplate\n"
    "metadata: {name: runner}\n"
    "template:\n"
    "  spec:\n"
    "    securityContext: {runAsNonRoot: true, runAsUser: 64000, runAsGroup: 64000, seccompProfile: {type: RuntimeDefault}}\n"
    "    containers:\n"
    "    - name: runner\n"
    "      image: %s\n"
    "      imagePullPolicy: Never\n"
    "      command: [/runwave-runner, --listen, \"tcp:0.0.0.0:%u\", --sandbox, container, --pod, $(RUNWAVE_POD)]\n"
    "      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}\n"
    "      resources: {limits: {memory: 128Mi, cpu: 1}, requests: {memory: 16Mi, cpu: 10m}}\n"
    "      readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1}\n"
    "      volumeMounts: [{name: box, mountPath: /box}, {name: tmp, mountPath: /tmp}]\n"
    "    volumes: [{name: box, emptyDir: {medium: Memory}}, {name: tmp, emptyDir: {medium: Memory}}]\n";

static const char *kubeconfig(void)
{
    return getenv("RUNWAVE_TEST_KUBECONFIG");
}

static const char *image(void)
{
    const char *name = getenv("RUNWAVE_TEST_IMAGE");
    return name ? name : "docker.io/library/runwave-runner:test";
}

static const char *missing(void)
{
    if (!kubeconfig()) {
        return "RUNWAVE_TEST_KUBECONFIG names no kubeconfig";
    }
    (void)setenv("KUBECONFIG", kubeconfig(), 1);
    const char *const argv[] = {"kubectl", "get", "--raw", "/readyz", NULL};
    return subject_run(argv) == 0 ? NULL : "kubectl: the API server does not answer";
}

static void remove_space(void)
{
    const char *const argv[] = {"kubectl", "delete", "namespace", space, "--wait=false", NULL};
    if (*space) {
        (void)subject_run(argv);
        space[0] = '\0';
    }
}

static void apply(const char *folder, unsigned port)
{
    RW_AUTO_FREE char *path = rw_xasprintf("%s/pods.yaml", folder);
    const char *const argv[] = {"kubectl", "apply", "-n", space, "-f", path, NULL};
    FILE *file = fopen(path, "w");
    if (file) {
        (void)fprintf(file, pod_template, image(), port);
        (void)fclose(file);
    }
    if (subject_run(argv)) {
        (void)fprintf(stderr, "kubectl apply failed in %s\n", space);
    }
}

static char folder_of_case[128];

static void configure(struct manager_config *config, const char *folder)
{
    static bool is_registered;
    if (!is_registered) {
        is_registered = true;
        (void)atexit(remove_space);
    }
    remove_space();
    (void)snprintf(space, sizeof(space), "conformance-%08x", (unsigned)rw_random_below(UINT32_MAX));
    (void)snprintf(folder_of_case, sizeof(folder_of_case), "%s", folder);
    const char *const create[] = {"kubectl", "create", "namespace", space, NULL};
    const char *const label[] = {"kubectl", "label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted", NULL};
    (void)subject_run(create);
    (void)subject_run(label);
    apply(folder, 7000);
    config->kubernetes.kubeconfig = rw_xstrdup(kubeconfig());
    config->kubernetes.namespace_ = rw_xstrdup(space);
}

/* Listens where nobody looks. */
static void spoil(struct manager_config *config)
{
    (void)config;
    apply(folder_of_case, 7001);
}

static void murder(const struct backend_listed *pod)
{
    const char *const argv[] = {"kubectl", "delete", "pod", "-n", space, pod->pod, "--grace-period=0", "--force", NULL};
    (void)subject_run(argv);
}

static size_t traces(const struct manager_config *config)
{
    (void)config;
    size_t count = 0;
    char line[512];
    RW_AUTO_FREE char *command = rw_xasprintf("kubectl get pods -n %s --no-headers -o name 2>/dev/null", space);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): nothing of the text is anybody else's */
    while (pipe && fgets(line, sizeof(line), pipe)) {
        count += strncmp(line, "pod/", 4) == 0;
    }
    if (pipe) {
        (void)pclose(pipe);
    }
    return count;
}

const struct subject subject_kubernetes = {
    .backend = "kubernetes",
    .missing = missing,
    .configure = configure,
    .spoil = spoil,
    .murder = murder,
    .traces = traces,
    .is_adopting = true,
};
