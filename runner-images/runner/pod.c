/* Preparing and locking down. */
#include "pod.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/log.h>

#include "filter.h"
#include "landlock.h"
#include "privileges.h"
#include "warm.h"

enum { DESTROY_MS_MAX = 5000, WARM_MS_MAX = 30000, ALL_IDS_BASE = 2000000000, FEW_IDS_BASE = 40000, FEW_IDS_PIDS = 12000 };

/* Without --uid-base, ids no other runner has: derived from the process id. A user namespace of ours has only some 65,536. */
static uid_t default_uid_base(void)
{
    unsigned inside = 0;
    unsigned outside = 0;
    unsigned count = 0;
    FILE *map = fopen("/proc/self/uid_map", "re");
    if (map) {
        if (fscanf(map, "%u %u %u", &inside, &outside, &count) != 3) {
            count = 0;
        }
        (void)fclose(map);
    }
    uid_t pid = (uid_t)getpid();
    return count == UINT32_MAX ? ALL_IDS_BASE + 2 * pid : FEW_IDS_BASE + 2 * (pid % FEW_IDS_PIDS);
}

static void make_cgroup(struct pod *pod, const char *name)
{
    struct rw_error err = {0};
    if (!name) {
        return;
    }
    pod->has_cgroup = cgroup_create(name, &pod->cgroup, &err) == 0;
    if (!pod->has_cgroup) {
        rw_log_error(RW_LOG_INFO, "no cgroup; memory and cpu time are watched instead", &err);
    }
    pod->config.cgroup = pod->has_cgroup ? &pod->cgroup : NULL;
}

/* Ids that the code shall have and we have not: the pipes must be its own, so that it can open /dev/stdout. */
static uid_t owner_of_pipes(const struct sandbox_config *config, bool has_namespaces)
{
    if (!config->is_root) {
        return (uid_t)-1;
    }
    return has_namespaces ? config->uid_base + 1 : SANDBOX_UID;
}

static int send_ahead(struct pod *pod, enum sandbox_command_type type, enum rw_stage stage, const int fds[static SANDBOX_FDS_MAX],
                      struct rw_error *err)
{
    const struct sandbox_command command = {.type = type, .stage = stage};
    return pod->sandbox.strategy->send(&pod->sandbox, &command, fds, SANDBOX_FDS_MAX, err);
}

/* Until the program is up, so that a pod that is ready is warm. A compiler's host may take longer than a compile: it is not waited
 * for, and not taken before it is up. */
static void await_held(struct pod *pod, const char *name)
{
    struct sandbox_report report = {0};
    bool is_up = false;
    int64_t deadline_ms = rw_monotonic_ms() + WARM_MS_MAX;
    for (int64_t left_ms; !is_up && report.type != SANDBOX_REPORT_LOST && (left_ms = deadline_ms - rw_monotonic_ms()) > 0;) {
        struct pollfd polled = {.fd = pod->sandbox.event_fd, .events = POLLIN};
        if (poll(&polled, 1, (int)left_ms) <= 0 || pod->sandbox.strategy->receive(&pod->sandbox, &report) == 0) {
            continue;
        }
        is_up = report.stage == RW_STAGE_RUN && (report.type == SANDBOX_REPORT_HELD || report.type == SANDBOX_REPORT_UNHELD);
        if (report.type == SANDBOX_REPORT_UNHELD || report.type == SANDBOX_REPORT_FAILED) {
            rw_log(RW_LOG_WARNING, "no warm start", RW_LOG_STR("pod", name), RW_LOG_STR("reason", report.message));
        }
    }
    if (!is_up) {
        rw_log(RW_LOG_WARNING, "a runtime that is started ahead does not come up", RW_LOG_STR("pod", name));
    }
}

/* Both stages' processes, as far as the plan has them. The pipes are theirs already; the ends here are kept for a cold start. */
static int start_ahead(struct pod *pod, const struct options *options, struct rw_error *err)
{
    struct warm warm;
    size_t text_len = options->warm ? strlen(options->warm) : 0;
    RW_AUTO_FREE uint8_t *plan = rw_xcalloc(1, text_len + 1);
    size_t len = 0;
    if (!options->warm) {
        return 0;
    }
    warm_init(&warm);
    if (sodium_base642bin(plan, text_len, options->warm, text_len, NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        warm_set_plan(&warm, rw_bytes_of(plan, len), -1, -1, err) < 0) {
        warm_done(&warm);
        return rw_fail(err, CONFIG, "--warm is no plan in base64");
    }
    const struct rw_job *starts = warm.starts;
    RW_AUTO_FD int plan_fd = warm_text_open("plan", rw_bytes_of(plan, len), err);
    RW_AUTO_FD int library_fd = warm_library_open(err);
    RW_AUTO_FD int host_fd = warm_text_open("host", rw_bytes_of(starts->files[0].content, starts->files[0].content_len), err);
    bool has_compile = starts->has_compile;
    warm_done(&warm);
    const int fds[] = {plan_fd, library_fd, host_fd};
    if (plan_fd < 0 || library_fd < 0 || host_fd < 0 || send_ahead(pod, SANDBOX_COMMAND_PLAN, RW_STAGE_RUN, fds, err) < 0 ||
        (has_compile && send_ahead(pod, SANDBOX_COMMAND_AHEAD, RW_STAGE_COMPILE, pod->pipes.childs[RW_STAGE_COMPILE], err) < 0) ||
        send_ahead(pod, SANDBOX_COMMAND_AHEAD, RW_STAGE_RUN, pod->pipes.childs[RW_STAGE_RUN], err) < 0) {
        return -1;
    }
    await_held(pod, options->pod);
    return 0;
}

static int prepare(struct pod *pod, const struct options *options, const char *cgroup, struct rw_error *err)
{
    bool has_namespaces = options->strategy == &sandbox_namespaces;
    bool is_root = geteuid() == 0;
    *pod = (struct pod){.config = {.is_root = is_root, .uid = geteuid(), .gid = getegid()}};
    memset(&pod->pipes, -1, sizeof(pod->pipes));
    pod->config.uid_base = options->has_uid_base ? options->uid_base : default_uid_base();
    make_cgroup(pod, cgroup);
    const struct filter_options filter = {.has_own_network = options->strategy->has_own_network,
                                          .shares_uid = !is_root,
                                          .is_memory_watched = !cgroup_has(pod->config.cgroup, CGROUP_MEMORY)};
    uid_t owner = owner_of_pipes(&pod->config, has_namespaces);
    if (filter_build(&filter, &pod->config.filter, err) < 0 || attempt_pipes_make(&pod->pipes, owner, owner, err) < 0 ||
        options->strategy->prepare(&pod->sandbox, &pod->config, err) < 0 || start_ahead(pod, options, err) < 0) {
        pod_destroy(pod);
        return -1;
    }
    return 0;
}

static struct layers layers_in_force(const struct pod *pod)
{
    bool has_namespaces = pod->sandbox.strategy == &sandbox_namespaces;
    const struct cgroup *cgroup = pod->config.cgroup;
    bool has_cgroup = cgroup_has(cgroup, CGROUP_MEMORY) && cgroup_has(cgroup, CGROUP_PIDS) && cgroup_has(cgroup, CGROUP_CPU);
    return (struct layers){.values = {
                               [LAYER_NAMESPACES] = has_namespaces,
                               [LAYER_OWN_UID] = has_namespaces && pod->config.is_root,
                               [LAYER_SECCOMP] = 1, /* without it nothing starts */
                               [LAYER_LANDLOCK] = (unsigned)landlock_level(),
                               [LAYER_CGROUP] = has_cgroup ? (unsigned)cgroup->version : 0,
                           }};
}

static int prepare_any(struct pod *pod, const struct options *options, struct rw_error *err)
{
    /* A container is in the cgroup that its runtime made, and has no way to another. */
    const char *cgroup = options->strategy == &sandbox_namespaces ? options->cgroup : NULL;
    if (!cgroup || prepare(pod, options, cgroup, err) == 0) {
        return cgroup ? 0 : prepare(pod, options, NULL, err);
    }
    /* It may be that a group could be made but not be joined. */
    rw_log_error(RW_LOG_WARNING, "no sandbox with a cgroup; trying without", err);
    return prepare(pod, options, NULL, err);
}

int pod_prepare(struct pod *pod, const struct options *options, struct rw_error *err)
{
    if (prepare_any(pod, options, err) < 0) {
        return -1;
    }
    pod->layers = layers_in_force(pod);
    if (layers_check(&pod->layers, &options->required, err) < 0) {
        pod_destroy(pod);
        return -1;
    }
    return 0;
}

/* What the runner still needs: to end the sandbox, whose processes have other ids; in a container to become the code's uid; and to
 * remove its cgroup, because a hierarchy's root may be written by nobody. That last one only where Landlock bounds it. */
static uint64_t needed_capabilities(const struct pod *pod, bool has_namespaces)
{
    uint64_t needed = PRIVILEGE(CAP_KILL);
    if (!has_namespaces) {
        needed |= PRIVILEGE(CAP_SETUID) | PRIVILEGE(CAP_SETGID);
    } else if (pod->has_cgroup && landlock_level() > 0) {
        needed |= PRIVILEGE(CAP_DAC_OVERRIDE);
    }
    return needed;
}

int pod_lock_down(const struct pod *pod, int keep_dir_fd, struct rw_error *err)
{
    int dir_fds[CGROUP_PLACES_MAX + 1];
    unsigned n = 0;
    bool has_namespaces = pod->sandbox.strategy == &sandbox_namespaces;
    if (privileges_keep(needed_capabilities(pod, has_namespaces), err) < 0) {
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "PR_SET_NO_NEW_PRIVS");
    }
    if (!has_namespaces || landlock_level() == 0) {
        return 0; /* in a container the code is forked from here and must keep its files */
    }
    for (unsigned i = 0; pod->has_cgroup && i < pod->cgroup.n_folders; i++) {
        dir_fds[n++] = pod->cgroup.folders[i].base_fd;
    }
    if (keep_dir_fd >= 0) {
        dir_fds[n++] = keep_dir_fd;
    }
    RW_AUTO_FD int ruleset_fd = landlock_ruleset_for_runner(dir_fds, n, err);
    return ruleset_fd < 0 ? -1 : landlock_enter(ruleset_fd, err);
}

static void close_pipes(struct attempt_pipes *pipes)
{
    for (int stage = 0; stage < _RW_STAGE_MAX; stage++) {
        for (int fd = 0; fd < ATTEMPT_FDS; fd++) {
            if (pipes->childs[stage][fd] >= 0) {
                (void)close(rw_take_fd(&pipes->childs[stage][fd]));
            }
            if (pipes->ours[stage][fd] >= 0) {
                (void)close(rw_take_fd(&pipes->ours[stage][fd]));
            }
        }
    }
}

void pod_destroy(struct pod *pod)
{
    if (pod->sandbox.strategy) {
        pod->sandbox.strategy->destroy(&pod->sandbox, DESTROY_MS_MAX);
    }
    if (pod->has_cgroup) {
        cgroup_remove(&pod->cgroup);
        pod->has_cgroup = false;
    }
    close_pipes(&pod->pipes);
    filter_done(&pod->config.filter);
}

/* Messages are our own words and file names of the kernel's: quotes and backslashes are all that JSON needs escaped. */
static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static const char *boolean(bool value)
{
    return value ? "true" : "false";
}

int pod_probe(const struct options *options)
{
    struct rw_error err = {0};
    struct pod pod;
    struct options probed = *options;
    /* One name for all, so that a probe killed half-way leaves nothing that the next does not remove. */
    probed.cgroup = probed.cgroup ? probed.cgroup : "runwave-probe";
    bool works = pod_prepare(&pod, &probed, &err) == 0;
    const struct cgroup *group = works && pod.has_cgroup ? &pod.cgroup : NULL;
    bool is_namespaces = options->strategy == &sandbox_namespaces;
    printf("{\"version\": \"" RUNWAVE_VERSION "\", \"sandbox\": \"%s\", \"works\": %s, \"own_uid\": %s, ", options->strategy->name,
           boolean(works), boolean(works && is_namespaces && geteuid() == 0));
    printf("\"namespaces\": %s, \"landlock_abi\": %d, \"seccomp\": %s, ", boolean(works && is_namespaces), landlock_level(),
           boolean(works));
    printf("\"cgroup\": {\"version\": %d, \"memory\": %s, \"pids\": %s, \"cpu\": %s}, \"error\": ", group ? group->version : 0,
           boolean(cgroup_has(group, CGROUP_MEMORY)), boolean(cgroup_has(group, CGROUP_PIDS)),
           boolean(cgroup_has(group, CGROUP_CPU)));
    print_text(works ? "" : err.message);
    char layers[LAYERS_TEXT_BYTES];
    printf(", \"layers\": \"%s\"}\n", works ? layers_format(&pod.layers, layers) : "");
    if (!works) {
        (void)fprintf(stderr, "runwave-runner: no %s sandbox can be made here: %s\n", options->strategy->name, err.message);
        return rw_err_exit_code(RW_ERR_UNSUPPORTED);
    }
    pod_destroy(&pod);
    return 0;
}
